"""The report: wrong fields are named, texts are escaped, the same run gives the same bytes."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lenswright.report import FORMAT, Report
from report_sample import Page, deep, sample

NASTY = (
    "</title></style><script>alert('x')</script><img src=https://x.test onerror=a> \x00\u202e\ud800"
)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = Report(sample()).to_html()
    page = Page(html)
    assert not re.search(r"https?://|//[a-z]|@import|url\(", html)
    assert all(address.startswith("#") for address in page.addresses)
    assert page.tags.count("script") == 1
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert {"link", "img", "iframe", "object"}.isdisjoint(page.tags)
    targets = set(re.findall(r' id="([^"]+)"', html))
    assert {address[1:] for address in page.addresses} <= targets


def test_every_picture_is_xml_in_two_widths() -> None:
    html = Report(sample()).to_html()
    pictures = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(pictures) == 2 * 6
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_hostile_texts_stay_texts() -> None:
    data = sample()
    keep = {"bypass", "nats", "lower"}
    data = deep(data, lambda text: text if text in keep else text + NASTY)
    data["edit"][NASTY] = data["run"]["versions"][NASTY] = NASTY
    data["equivalence"]["hashes"][NASTY] = NASTY
    data["run"]["prompts"][NASTY] = 1
    report = Report(data)
    html = report.to_html()
    html.encode("utf-8")
    page = Page(html)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert all(address.startswith("#") for address in page.addresses)
    assert "\u202e" not in html
    assert "\\u202e" in html
    assert "<script>alert('x')</script>" in page.text
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        ElementTree.fromstring(picture)
    assert json.loads(report.to_json()) == {"format": FORMAT} | report.data


def test_the_page_shows_the_values_and_what_was_not_reached() -> None:
    text = Page(Report(sample()).to_html()).text
    for shown in (
        "One direction carries it: 99\u202f% answered", "402,112 parameters", "9.25", "0.999",
        "100\u202f% → 0.8\u202f%", "0.2\u202f–\u202f2.8\u202f%", "KL was relaxed.",
        "1 × KL above 0.02",
        "3 kept", "None of 20 random directions moved it as far", "bit for bit", "4.1e−7",
        "Not reached: transfer", "Not measured: time", "✗  not reached", "(nothing)", "declined",
        "✓ true", "tried", "baked", "not edited", "left out", "1 of 3",
        "Nothing harmful.", "12.5 s", "Measured on the test split.",
    ):  # fmt: skip
        assert shown in text, shown


def test_tried_and_baked_share_a_column_only_where_they_are_equal() -> None:
    data = sample()
    assert "tried = baked" in Page(Report(data).to_html()).text
    data["texts"][0]["baked"] = "melt salt"
    assert "tried = baked" not in Page(Report(data).to_html()).text


def test_a_broken_equality_is_said_first() -> None:
    data = sample()
    data["equivalence"]["comparisons"][1]["difference"] = 1e-3
    text = Page(Report(data).to_html()).text
    assert "These differ by more than they may:  applied and committed" in text
    data["equivalence"]["comparisons"] = [{"left": "a", "right": "b"}]
    assert "held against no demand: a = b" in Page(Report(data).to_html()).text


@pytest.mark.parametrize("part", [*sorted(set(sample()) - {"title"}), None])
def test_every_part_may_be_absent_or_alone(part: str | None) -> None:
    data = sample()
    without = {key: value for key, value in data.items() if key != part}
    Page(Report(without).to_html())
    alone = {"title": "t"} | ({part: data[part]} if part else {})
    Page(Report(alone).to_html())


def test_odd_shapes_are_drawn() -> None:
    one: dict[str, Any] = {"positions": ["x"], "layers": [7]}
    data: dict[str, Any] = {
        "title": "t",
        "separation": one | {"separation": [[None]], "split_half": [[0.5]]},
        "grid": one | {"kl": [[0.0]], "null": {"metric": "kl", "values": [0.0]}},
        "effects": [{"name": "a", "unit": "nats", "after": 0, "null": []}],
        "texts": [{"prompt": ""}],
    }
    Page(Report(data).to_html())
    many = {"positions": [f"p{i}" for i in range(9)], "layers": list(range(80))}
    row = [[float(i * j) for i in range(80)] for j in range(9)]
    Page(Report({"title": "t", "separation": many | {"split_half": row}}).to_html())


def test_tensors_become_plain_numbers() -> None:
    import torch

    data = sample()
    plain = Report(data)
    data["grid"]["bypass"] = torch.tensor(data["grid"]["bypass"], dtype=torch.float64)
    data["effects"][0]["after"] = torch.tensor(0.008, dtype=torch.float64)
    data["effects"][0]["interval"] = (0.002, 0.028)
    assert Report(data).to_json() == plain.to_json()


def test_the_same_data_gives_the_same_bytes() -> None:
    first, second = Report(sample()), Report(copy.deepcopy(sample()))
    assert first.to_html() == second.to_html()
    assert first.to_json() == second.to_json()


def test_the_digest_leaves_out_time_and_machine() -> None:
    first, later = sample(), sample()
    later["run"] |= {"started": "today", "seconds": 99.0, "machine": "other"}
    other = sample()
    other["run"]["seed"] = 2
    assert Report(first).digest() == Report(later).digest() != Report(other).digest()
    assert re.fullmatch("[0-9a-f]{64}", Report(first).digest())


def test_the_callers_data_is_left_alone() -> None:
    data = sample()
    report = Report(data)
    data["effects"][0]["after"] = 0.5
    assert report.data["effects"][0]["after"] == 0.008


def test_saved_and_loaded(tmp_path: Path) -> None:
    report = Report(sample())
    page = report.save(tmp_path / "run")
    assert page == tmp_path / "run" / "report.html"
    assert page.read_text(encoding="utf-8") == report.to_html()
    for path in (tmp_path / "run", tmp_path / "run" / "report.json"):
        assert Report.load(path).to_html() == report.to_html()
    assert report.save(tmp_path / "a.html").name == "a.html"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json", "run"]
    with pytest.raises(FileNotFoundError):
        Report.load(tmp_path / "none")
    (tmp_path / "bad.json").write_text('{"title": 3}')
    with pytest.raises(ValueError, match=r"bad\.json: report\.title: is 3, expected text"):
        Report.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"format": "lenswright report 9", "title": "a"}')
    with pytest.raises(ValueError, match=r"report\.format: is 'lenswright report 9', expected 'l"):
        Report.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: Expecting"):
        Report.load(tmp_path / "bad.json")


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        Report(sample()).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_notebooks_and_terminals_see_it() -> None:
    report = Report(sample())
    frame = Page(report._repr_html_())
    assert frame.tags == ["iframe"]
    assert repr(report).splitlines() == [
        "Report: One direction carries it: 99 % answered",
        "  declines: 100\u202f% → 0.8\u202f%",
        "  KL forward: 0.0094 nats",
        "  true: 0\u202f% → 55\u202f%",
        "  1 of 3 criteria reached",
    ]


def test_pictures_are_there_by_name() -> None:
    figures = Report(sample()).figures(width=700)
    names = ["separation", "split_half", "grid", "null", "effects", "equivalence"]
    assert list(figures) == names
    assert all(figure.width <= 700 for figure in figures.values())
    assert Report({"title": "t"}).figures() == {}


def test_a_report_needs_no_torch() -> None:
    code = "import sys, lenswright.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
