"""The report of a merge: numbers against plain arithmetic, pictures, the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.demo import folder as files
from lenswright.soups.held_out import HeldOut


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, two that lie near it, and their ties."""
    room = tmp_path_factory.mktemp("merged")
    base = models.load(embedded.MODEL)
    for i in range(2):
        generator = torch.Generator().manual_seed(i)
        tensors = {n: v + 1e-3 * torch.randn(v.shape, generator=generator) for n, v in base.items()}
        files.write(room / f"run{i}", tensors)
    own = {"weight": 1.0, "density": 0.5}
    recipe = {
        "merge_method": "ties", "base_model": str(embedded.MODEL),
        "models": [{"model": str(room / f"run{i}"), "parameters": own} for i in range(2)],
    }  # fmt: skip
    lw.merge(recipe, room / "out")
    return room / "out"


def held_out() -> list[tuple[str, str]]:
    return [(row["prompt"], row["answer"]) for row in embedded.rows("select", "benign", 12)]


def test_numbers(merged: Path) -> None:
    found = lw.merge_report(merged, held_out())
    runs = [merged.parent / f"run{i}" for i in range(2)]
    want = lw.task_vectors(embedded.MODEL, [*runs, merged])
    assert found.tasks == want
    assert found.method == "ties"
    name = "model.layers.1.mlp.up_proj.weight"
    base, out = (models.load(folder)[name].double() for folder in (embedded.MODEL, merged))
    row = next(tensor for tensor in found.tasks.tensors if tensor.name == name)
    assert row.norms[-1] == pytest.approx(float((out - base).norm()))
    assert row.changed[-1] == int((out != base).sum())
    paths = [embedded.MODEL, *runs, merged]
    judge = HeldOut.of(embedded.model(), held_out())
    assert list(found.losses.values()) == [judge(lw.load(path)) for path in paths]
    mean, tangent = found.predicted.values()
    weights = found.lineage.whole.weights
    losses = list(found.losses.values())
    assert mean == pytest.approx(sum(w * v for w, v in zip(weights, losses[:3], strict=True)))
    # The tangent is the derivative along the difference: half a thousandth of the way.
    step, here, there = 1e-3, models.load(embedded.MODEL), models.load(merged)
    ends = []
    for sign in (1, -1):
        model = lw.load(embedded.MODEL, dtype="float64")
        moved = {n: v.double() + sign * step * (there[n].double() - v) for n, v in here.items()}
        ends.append(_loss(model, moved, judge))
    slope = (ends[0] - ends[1]) / (2 * step)
    assert tangent - losses[0] == pytest.approx(slope, rel=1e-3)


def _loss(model: lw.Model, tensors: dict[str, torch.Tensor], judge: HeldOut) -> float:
    from lenswright import _core
    from lenswright.model import Model

    config = (embedded.MODEL / "config.json").read_text()
    core = _core.Model.share(config, tensors, dtype="float64")
    return judge(Model(core, model.folder))


def test_page_and_pictures(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps({"prompt": p, "answer": a}) + "\n" for p, a in held_out()))
    out = tmp_path / "report"
    assert main(["review", str(merged), "--held-out", str(held), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for part in ("conflicts", "left unexplained", "predicted: tangent", str(out)):
        assert part in said
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 12  # six pictures in two widths
    assert "model.layers.1.mlp.up_proj.weight" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    data = json.loads((out / "report.json").read_text())
    assert len(data["tasks"]["tensors"]) == len(models.load(merged))
    found = lw.merge_report(merged)
    assert set(found.figures()) == {"sizes", "changed", "agreement", "conflicts", "weights"}
    assert not found.losses


def test_mistakes(merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"no lenswright\.json"):
        lw.merge_report(embedded.MODEL)
    recipe = {"merge_method": "passthrough", "models": [{"model": str(embedded.MODEL)}]}
    lw.merge(recipe, tmp_path / "one")
    with pytest.raises(ValueError, match="one model alone"):
        lw.merge_report(tmp_path / "one")
    assert main(["review", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
