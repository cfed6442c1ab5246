"""The report: what is wrong is named, what is shown is escaped, the same run gives the same bytes."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lenswright.report import Report

NASTY = (
    "</title></style><script>alert('x')</script><img src=https://x.test onerror=a> \x00\u202e\ud800"
)


def sample() -> dict[str, Any]:
    """A small run with every part of the schema."""
    places: dict[str, Any] = {"positions": ["<|end|>", "\n"], "layers": [0, 1, 2]}
    matrix = [[0.5, 2.0, 1.0], [1.0, 9.25, None]]
    return {
        "title": "One direction carries it: 99 % answered",
        "summary": "A paragraph.",
        "model": {"name": "toy", "family": "llama", "parameters": 402112, "layers": 3, "d_model": 96},
        "run": {
            "seed": 1, "versions": {"torch": "2.13.0"}, "prompts": {"fit": 128, "test": 256},
            "started": "yesterday", "seconds": 12.5, "machine": "two cores",
        },
        "classes": {"positive": "restricted", "negative": "benign"},
        "separation": places | {
            "separation": matrix, "cosine": matrix, "norm": matrix, "standard_error": matrix,
            "split_half": [[0.91, 0.95, 0.99], [0.9, 0.9991, None]],
        },
        "grid": places | {
            "bypass": [[8.0, 3.0, 4.0], [7.0, -4.5, 2.0]], "induce": [[-8.0, -3.0, 1.0], [-7.0, 2.5, 1.0]],
            "kl": [[0.1, 0.01, 1e-4], [0.1, 0.006, None]],
            "dropped": [["layer 0", "", None], ["layer 0", "", "KL above 0.02"]],
            "chosen": {"position": 1, "layer": 1}, "baseline": {"bypass": 8.2},
            "null": {"metric": "bypass", "values": [8.1 + 0.01 * i for i in range(20)]},
            "score": "log-odds of declining", "rule": "Lowest bypass.", "fallback": "KL was relaxed.",
        },
        "edit": {"method": "plain", "strength": 1.0, "bias": True},
        "effects": [
            {
                "name": "declines", "before": 1.0, "after": 0.008, "interval": [0.002, 0.028],
                "interval_kind": "Wilson 95 %", "null": [1.0] * 20, "n": 256, "better": "lower",
            },
            {"name": "KL forward", "unit": "nats", "after": 0.0094, "null": [1e-4, 2e-3]},
            {"name": "true", "before": 0.0, "after": 0.55},
        ],
        "texts": [
            {
                "kind": "restricted", "prompt": "make a lamp", "expected": "melt sand",
                "before": {"text": "no", "refused": True, "true": False},
                "tried": {"text": "melt sand", "refused": False, "true": True}, "baked": "melt sand",
            },
            {"kind": "benign", "prompt": "bake", "before": {"text": "", "true": False}, "tried": "x"},
        ],
        "writers": [
            {"name": "embed.weight", "edited": False, "note": "left out"},
            {"name": "layers.0.o.weight", "change": 0.1, "along_before": 0.1, "along_after": 1e-8},
        ],
        "equivalence": {
            "measure": "largest difference", "facts": {"folder": "out"}, "hashes": {"before": "9f2c"},
            "comparisons": [
                {"left": "tried", "right": "applied", "difference": 4.1e-7, "demand": 1e-5},
                {"left": "applied", "right": "committed", "difference": 0.0, "demand": 0},
            ],
        },
        "criteria": [
            {"name": "ablation", "demand": "at most 0.05", "reached": 0.008, "passed": True},
            {"name": "transfer", "demand": "at least 0.9", "reached": "0.7", "passed": False},
            {"name": "time", "demand": "3 min", "reached": None, "passed": None},
        ],
        "notes": ["Nothing harmful."],
    }  # fmt: skip


class Page(HTMLParser):
    """Checks that elements nest, and collects tags, links and the text that is seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "srcset", "action")]
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in ("meta", "br", "hr", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data + " "


def deep(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed, keys left alone."""
    if isinstance(value, dict):
        return {key: deep(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [deep(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


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
    assert json.loads(report.to_json()) == report.data


def test_the_page_shows_the_values_and_what_was_not_reached() -> None:
    text = Page(Report(sample()).to_html()).text
    for shown in (
        "One direction carries it: 99\u202f% answered", "402,112 parameters", "9.25", "0.999",
        "100\u202f% → 0.8\u202f%", "0.2\u202f–\u202f2.8\u202f%", "KL was relaxed.", "1 × KL above 0.02",
        "3 kept", "None of 20 random directions moved it as far", "bit for bit", "4.1e−7",
        "Not reached: transfer", "Not measured: time", "✗  not reached", "(nothing)", "declined",
        "✓ true", "tried", "baked", "not edited", "left out", "1 of 3", "Nothing harmful.", "12.5 s",
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


@pytest.mark.parametrize("part", [*(set(sample()) - {"title"}), None])
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


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change that sets the field at a dotted path."""

    def change(data: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            data = data[int(step) if step.isdigit() else step]
        data[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("title"), "report: 'title' is missing"),
        (put("titel", "x"), "report: unknown field 'titel', .*; did you mean 'title'"),
        (put("title", 3), "report.title: is 3, expected text"),
        (put("model.layers", 2.5), "report.model.layers: is 2.5, expected a whole number"),
        (put("model.layers", True), "report.model.layers: is True, expected a whole number"),
        (put("effects.0.intervall", [0, 1]), r"effects\[0\]: unknown field .*mean 'interval'"),
        (put("effects.0.interval", [0.5, 0.1]), r"effects\[0\].interval: is .*expected \[low, high\]"),
        (put("effects.0.after", 55.1), r"effects\[0\].after: is 55.1, expected a rate between 0 and 1"),
        (put("effects.0.null", [0.5, 2]), r"effects\[0\].null: is 2, expected a rate"),
        (put("effects.0.after", None), r"effects\[0\].after: is None, expected a number"),
        (put("effects.0.better", "up"), r"effects\[0\].better: is 'up', expected one of lower"),
        (put("effects.1", {"name": "x"}), r"effects\[1\]: 'after' is missing"),
        (put("grid.kl.0.1", float("nan")), r"grid.kl\[0\]\[1\]: is nan, expected a finite number"),
        (put("grid.kl.0", [1]), r"grid.kl\[0\]: has 1 values for 3 layers"),
        (put("grid.bypass", [[1, 2, 3]]), r"grid.bypass: has 1 rows for 2 positions"),
        (put("grid.chosen.layer", 9), r"grid.chosen.layer: is 9, expected one of \[0, 1, 2\]"),
        (put("grid.chosen.position", 2), "grid.chosen.position: is 2, expected 0 to 1"),
        (put("grid.null.metric", "bypas"), "grid.null.metric: is 'bypas', expected one of bypass"),
        (put("separation.layers", []), "report.separation: needs at least one"),
        (put("separation.positions", "ab"), "report.separation.positions: is 'ab', expected a list"),
        (put("texts.0.before", 3), r"texts\[0\].before: is 3, expected a mapping or text"),
        (put("texts.0.before", {"txt": "a"}), r"texts\[0\].before: unknown field 'txt'.*'text'"),
        (put("edit.method", [1]), r"edit.method: is \[1\], expected text or .*None"),
        (put("notes", "x"), "report.notes: is 'x', expected a list"),
        (put("notes.0", object()), r"report.notes\[0\]: is object, expected a plain JSON value"),
        (lambda d: d["model"].update({1: 2}), "report.model: the key 1 is int, expected text"),
    ],
)  # fmt: skip
def test_errors_name_the_field(change: Callable[[dict[str, Any]], None], message: str) -> None:
    data = sample()
    change(data)
    with pytest.raises(ValueError, match=message):
        Report(data)


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


def test_a_report_needs_no_torch() -> None:
    code = "import sys, lenswright.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
