"""Soups against plain float64: which models are taken, what the averages are, gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import embedded
import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.demo import folder as files
from lenswright.soups.held_out import HeldOut
from test_devices import device as device

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The embedded model with more and more noise in it; the third is far off."""
    folder = tmp_path_factory.mktemp("runs")
    base = models.load(embedded.MODEL)
    out = []
    for i, size in enumerate((0.3, 0.35, 1.5, 0.4)):
        generator = torch.Generator().manual_seed(i)
        tensors = {
            name: value + size * value.std() * torch.randn(value.shape, generator=generator)
            if value.ndim == 2
            else value.clone()
            for name, value in base.items()
        }
        files.write(folder / f"run{i}", tensors)
        out.append(folder / f"run{i}")
    return out


def held_out(count: int = 24, part: str = "select") -> list[tuple[str, str]]:
    return [(row["prompt"], row["answer"]) for row in embedded.rows(part, "benign", count)]


def weights_of(recipe: dict[str, Any]) -> dict[str, float]:
    return {one["model"]: one["parameters"]["weight"] for one in recipe["models"]}


def mean_of(folders: list[Path]) -> dict[str, torch.Tensor]:
    loaded = [models.load(folder) for folder in folders]
    return {
        name: (sum(one[name].double() for one in loaded) / len(loaded)).float()
        for name in loaded[0]
    }


def test_greedy_is_the_algorithm(runs: list[Path], tmp_path: Path) -> None:
    """By hand: sorted by loss; a model is kept where the loss of the mean gets smaller."""
    judge = HeldOut.of(embedded.model(), held_out())

    def loss(folders: list[Path]) -> float:
        path = tmp_path / f"by-hand{len(list(tmp_path.iterdir()))}"
        files.write(path, mean_of(folders))
        return judge(lw.load(path))

    alone = {folder: loss([folder]) for folder in runs}
    order = sorted(runs, key=lambda folder: alone[folder])
    chosen, best = [order[0]], alone[order[0]]
    for folder in order[1:]:
        value = loss([*chosen, folder])
        if value < best:
            chosen, best = [*chosen, folder], value
    found = lw.soup(runs, held_out())
    assert weights_of(found.recipe) == {str(folder): 1.0 for folder in chosen}
    assert found.value == pytest.approx(best, rel=1e-6)
    assert str(runs[2]) not in weights_of(found.recipe)
    assert len(chosen) > 1
    assert found.value < found.members[found.best_member]
    assert [t.kept for t in found.trace[4:7]] == [f in chosen for f in order[1:]]


def test_strictly_better(runs: list[Path]) -> None:
    """A model that changes nothing is left out: no value is better than the same one."""
    found = lw.soup(runs[:2], lambda model: 1.0)
    assert weights_of(found.recipe) == {str(runs[0]): 1.0}
    with pytest.raises(ValueError, match="each once"):
        lw.soup([runs[0], runs[0]], held_out())


def test_uniform_is_the_mean_and_what_was_judged(runs: list[Path], tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def measure(model: lw.Model) -> float:
        seen.append({name: value.clone() for name, value in model.parameters().items()})
        return 0.0

    found = lw.soup(runs[:3], measure, "uniform")
    want = mean_of(runs[:3])
    path = found.save(tmp_path / "soup.yml")
    assert main(["merge", str(path), str(tmp_path / "out")]) == 0
    written = models.load(tmp_path / "out")
    for name, value in want.items():
        assert torch.equal(seen[-1][name], value)
        assert torch.equal(written[name], value)
    with pytest.raises(FileExistsError):
        found.save(path)


def test_models_in_memory(runs: list[Path], tmp_path: Path) -> None:
    live = {f"m{i}": lw.load(folder) for i, folder in enumerate(runs[:3])}
    there, here = lw.soup(runs[:3], held_out()), lw.soup(live, held_out())
    assert here.value == there.value
    assert [t.value for t in here.trace] == [t.value for t in there.trace]
    here.merge(tmp_path / "here")
    there.merge(tmp_path / "there")
    a, b = (models.load(tmp_path / name) for name in ("here", "there"))
    assert all(torch.equal(a[name], b[name]) for name in b)


@pytest.mark.parametrize("method", ["greedy", "learned"])
def test_on_another_device(method: str, runs: list[Path], device: str) -> None:
    """Run there, merged here: the same choices."""
    more: dict[str, Any] = {"steps": 2} if method == "learned" else {}
    here, there = (
        lw.soup(runs[:3], held_out(6), method, device=at, **more) for at in ("cpu", device)
    )
    for a, b in zip(here.trace, there.trace, strict=True):
        assert (a.what, a.kept) == (b.what, b.kept)
        assert b.value == pytest.approx(a.value, rel=1e-4)


def test_held_out_sets(tmp_path: Path) -> None:
    """Losses of answers, of texts and of a file, against one row at a time."""
    model = embedded.model()
    pairs = held_out(5)
    judge = HeldOut.of(model, pairs, batch_size=2)
    by_hand = []
    for (prompt, _), row in zip(pairs, judge.rows, strict=True):
        given = model.prompt_tokens([prompt])[0]
        assert row[: len(given)] == given
        logits = model(torch.tensor([row])).double().log_softmax(-1)[0]
        targets = range(len(given), len(row))
        by_hand.append([-float(logits[i - 1, row[i]]) for i in targets])
    assert judge.losses(model) == pytest.approx([np.mean(one) for one in by_hand], abs=1e-6)
    flat = [value for one in by_hand for value in one]
    assert judge.tokens == len(flat)
    assert judge(model) == pytest.approx(np.mean(flat), abs=1e-6)
    path = tmp_path / "held.jsonl"
    path.write_text("".join(json.dumps({"prompt": p, "answer": a}) + "\n" for p, a in pairs))
    assert HeldOut.of(model, path)(model) == pytest.approx(judge(model), rel=1e-6)
    text = tmp_path / "held.txt"
    text.write_text("a kettle needs salt , wax and clay " * 9)
    whole = HeldOut.of(model, text)
    assert whole.tokens == sum(len(row) - 1 for row in whole.rows)
    for wrong, said in (
        ([], "is empty"),
        ([{"prompt": "make a kettle"}], "has no answer"),
        ([{"text": 3}], "text"),
        (["x" * 0], "held_out"),
    ):
        with pytest.raises(ValueError, match=said):
            HeldOut.of(model, wrong)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"method": "greddy"}, "method is 'greddy'"),
    ({"method": "learned", "per": "layers"}, "did you mean 'layer'"),
    ({"per": "layer"}, "of the method 'learned'"),
    ({"method": "learned", "steps": 0}, "steps is 0"),
    ({"method": "learned", "held_out": lambda model: 0.0}, "has no gradient"),
    ({"models": "one/path"}, "one path"),
    ({"models": ["one/path"]}, "two or more"),
]


@pytest.mark.parametrize(("wrong", "said"), MISTAKES)
def test_mistakes(wrong: dict[str, Any], said: str, runs: list[Path]) -> None:
    with pytest.raises(ValueError, match=said):
        lw.soup(**({"models": runs[:2], "held_out": held_out(4)} | wrong))


def test_command_line(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps({"prompt": p, "answer": a}) + "\n" for p, a in held_out(8)))
    names = [str(folder) for folder in runs[:3]]
    recipe, out = tmp_path / "soup.yml", tmp_path / "soup"
    code = main(
        ["soup", *names, "--held-out", str(held), "--recipe", str(recipe), "--out", str(out)]
    )
    assert code == 0
    said = capsys.readouterr().out
    assert "left out" in said
    assert f"wrote {out}" in said
    lw.merge(recipe, tmp_path / "again")
    a, b = (models.load(folder) for folder in (out, tmp_path / "again"))
    assert all(torch.equal(a[name], b[name]) for name in b)
    assert main(["soup", *names, "--held-out", str(held), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "greedy"
    for wrong in (
        [*names, "--held-out", str(held), "--recipe", str(recipe)],
        [*names, "--held-out", str(tmp_path / "none.jsonl")],
        ["--held-out", str(held)],
        [*names, "--held-out", str(held), "--evaluations", "3"],
        [*names, "--held-out", str(held), "--per", "layer"],
    ):
        assert main(["soup", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
