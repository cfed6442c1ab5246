"""Two reports side by side, and `lenswright measure`, which makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from lenswright import cli
from lenswright.demo import MODEL
from lenswright.report import Report
from lenswright.report.comparison import compare


def effect(name: str, after: float, interval: list[float] | None = None, **more: Any) -> Any:
    return {"name": name, "after": after} | ({"interval": interval} if interval else {}) | more


def report(*effects: Any, **more: Any) -> Report:
    return Report({"title": "A finding", "effects": list(effects)} | more)


# --- verdicts by hand ---
@pytest.mark.parametrize(
    ("left", "right", "better", "verdict"),
    [
        ((0.2, [0.1, 0.3]), (0.5, [0.4, 0.6]), "lower", "worse"),
        ((0.2, [0.1, 0.3]), (0.5, [0.4, 0.6]), "higher", "better"),
        ((0.5, [0.4, 0.6]), (0.2, [0.1, 0.3]), "lower", "better"),
        ((0.2, [0.1, 0.3]), (0.5, [0.4, 0.6]), "same", "other"),
        ((0.2, [0.1, 0.4]), (0.5, [0.4, 0.6]), "lower", "unclear"),
        ((0.2, None), (0.5, [0.4, 0.6]), "lower", "unclear"),
        ((0.2, [0.1, 0.3]), (0.2, [0.1, 0.3]), "lower", "same"),
    ],
)
def test_better_and_worse_are_said_only_where_intervals_lie_apart(
    left: Any, right: Any, better: str, verdict: str
) -> None:
    a, b = (report(effect("x", *one, better=better)) for one in (left, right))
    (found,) = compare(a, b).effects
    assert found.verdict == verdict
    assert found.difference == pytest.approx(right[0] - left[0])


def test_measures_are_matched_by_name_and_unit() -> None:
    a = report(effect("x", 1.0, unit="nats"), effect("y", 0.5), effect("only a", 0.5))
    b = report(effect("x", 1.0), effect("y", 0.5), effect("only b", 0.5))
    found = compare(a, b)
    assert [e.name for e in found.effects] == ["y"]
    assert found.only_left == ["x", "only a"]
    assert found.only_right == ["x", "only b"]


def test_what_was_made_differently_is_told() -> None:
    a = report(edit={"strength": 1.0, "method": "plain"}, run={"seed": 0, "seconds": 3.0})
    b = report(edit={"strength": 0.5, "method": "plain"}, run={"seed": 0, "seconds": 9.0})
    assert compare(a, b).facts == {"edit.strength": (1.0, 0.5)}


def test_json_keeps_its_schema(tmp_path: Path) -> None:
    a, b = report(effect("x", 0.2, [0.1, 0.3])), report(effect("x", 0.5, [0.4, 0.6]))
    page = compare(a, b).save(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert set(told) == {
        "format", "left", "right", "effects", "only_left", "only_right", "facts",
    }  # fmt: skip
    assert told["format"] == "lenswright comparison 1"
    assert set(told["effects"][0]) == {
        "name", "unit", "left", "right", "interval_left", "interval_right", "better", "verdict",
        "difference",
    }  # fmt: skip
    html = page.read_text()
    assert html.startswith("<!doctype html>")
    assert "default-src &#x27;none&#x27;" in html
    assert "http" not in html.replace("http-equiv", "")


def test_what_reports_hold_cannot_break_the_page() -> None:
    bad = report(effect("<script>x</script>", 0.2))
    assert "<script>x" not in compare(bad, bad).to_html()


# --- the verbs ---
@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measure")
    for name, count in (("restricted", 8), ("benign", 8)):
        rows = embedded.rows("test", name, count)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    model = embedded.model()
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(model.cfg.d_model, generator=generator)
    lw.edits.ablate(model, v).save(folder / "edit.safetensors")
    return folder


def measured(room: Path, name: str, *more: str) -> dict[str, Any]:
    code = cli.main([
        "measure", str(MODEL), "--prompts", str(room / "benign.jsonl"), "--positive",
        str(room / "restricted.jsonl"), "--max-new-tokens", "8", "--save", str(room / name), *more,
    ])  # fmt: skip
    assert code == 0
    return json.loads((room / name / "report.json").read_text())  # type: ignore[no-any-return]


def test_measure_and_report(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = measured(room, "plain")
    assert plain["title"] == "The model as it is"
    edited = measured(room, "edited", "--edit", str(room / "edit.safetensors"), "--null", "2")
    names = [e["name"] for e in edited["effects"]]
    assert names == [e["name"] for e in plain["effects"]]
    assert "KL(base‖edited), benign" in names
    for before, after in zip(plain["effects"], edited["effects"], strict=True):
        assert before["before"] == before["after"] == after["before"]
        assert (len(before["null"]), len(after["null"])) == (0, 2)
    moved = next(e for e in edited["effects"] if e["name"] == "KL(base‖edited), benign")
    assert moved["after"] > 0
    out = capsys.readouterr().out
    assert "KL(base‖edited), benign" in out
    code = cli.main(["report", str(room / "plain"), str(room / "edited" / "report.json"), "--save",
                     str(room / "page.html")])  # fmt: skip
    told = capsys.readouterr().out
    assert code == 0
    assert "edit.from" in told
    assert (room / "page.html").is_file()
    assert (room / "page.json").is_file()
    cli.main(["report", str(room / "plain"), str(room / "edited"), "--json"])
    assert json.loads(capsys.readouterr().out)["effects"]


def test_calls_that_are_refused(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = ["--prompts", str(room / "benign.jsonl")]
    for argv, words in (
        (["measure", str(MODEL), *prompts, "--edit", "a", "--steer", "b"], "expected one of them"),
        (["measure", str(MODEL), *prompts, "--null", "3"], "nothing is tried"),
        (["measure", str(MODEL), "--prompts", str(room / "no.jsonl")], "no such prompts file"),
        (["report", str(room / "no"), str(room / "no")], "no"),
    ):
        assert cli.main(argv) == 2
        assert words in capsys.readouterr().err
