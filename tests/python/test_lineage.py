"""Of which models a checkpoint was merged, against NumPy's least squares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.merging.least_squares import fit

WEIGHTS = [0.5, 0.2, 0.3]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A base and four fine-tunes of it, in float32."""
    folder = tmp_path_factory.mktemp("family")
    base = models.random_tensors(0, torch.float32)
    tensors = [base, *(models.random_tensors(i, torch.float32, base) for i in range(1, 5))]
    return [models.save(folder / str(i), one) for i, one in enumerate(tensors)]


def linear(folders: list[Path], weights: list[Any]) -> dict[str, Any]:
    rows = zip(folders, weights, strict=True)
    return {
        "merge_method": "linear",
        "models": [{"model": str(f), "parameters": {"weight": w}} for f, w in rows],
    }


def ties(folders: list[Path], density: float) -> dict[str, Any]:
    own = {"weight": 1.0, "density": density}
    return {
        "merge_method": "ties", "base_model": str(folders[0]),
        "models": [{"model": str(f), "parameters": own} for f in folders[1:]],
    }  # fmt: skip


def flat(folder: Path, names: list[str]) -> np.ndarray:
    loaded = models.load(folder)
    return np.concatenate([loaded[name].double().numpy().ravel() for name in names])


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_averages_are_exact(kind: str, family: list[Path], tmp_path: Path) -> None:
    lw.merge(linear(family[1:4], WEIGHTS) | {"out_dtype": kind}, tmp_path / "out")
    found = lw.lineage(family, tmp_path / "out")
    limit = 1e-7 if kind == "float32" else 1e-3
    assert found.whole.weights == pytest.approx([0, *WEIGHTS, 0], abs=limit)
    assert found.members == [str(f) for f in family[1:4]]
    assert found.whole.residual < (1e-6 if kind == "float32" else 0.05)
    assert sum(found.whole.weights) == pytest.approx(1, abs=1e-12)


def test_against_numpy(family: list[Path], tmp_path: Path) -> None:
    """Weights, standard errors and residual of a merge that none of them explains."""
    lw.merge(ties(family[:4], 0.3), tmp_path / "out")
    found = lw.lineage(family, tmp_path / "out")
    names = list(models.SHAPES)
    first, *others = (flat(folder, names) for folder in family)
    a = np.stack([other - first for other in others], 1)
    x = flat(tmp_path / "out", names) - first
    w, (square,), _, _ = np.linalg.lstsq(a, x, rcond=None)
    spread = square / (len(x) - 4) * np.linalg.inv(a.T @ a)
    assert found.whole.weights == pytest.approx([1 - w.sum(), *w], rel=1e-8)
    errors = [np.sqrt(spread.sum()), *np.sqrt(np.diag(spread))]
    assert found.whole.errors == pytest.approx(errors, rel=1e-6)
    away = np.linalg.norm(x - a.mean(1) * 4 / 5)
    assert found.whole.residual == pytest.approx(np.sqrt(square) / away, rel=1e-6)
    assert found.whole.elements == len(x)


def test_task_arithmetic_with_its_base(family: list[Path], tmp_path: Path) -> None:
    recipe = linear(family[1:4], [0.7, -0.4, 1.1]) | {
        "merge_method": "task_arithmetic", "base_model": str(family[0])}  # fmt: skip
    lw.merge(recipe, tmp_path / "out")
    found = lw.lineage(family[:4], tmp_path / "out")
    assert found.whole.weights == pytest.approx([-0.4, 0.7, -0.4, 1.1], abs=1e-6)
    positive = lw.lineage(family[:4], tmp_path / "out", positive=True)
    assert min(positive.whole.weights[1:]) == 0
    assert positive.whole.residual > found.whole.residual


@pytest.mark.parametrize("density", [0.2, 0.6])
def test_sensible_on_ties(density: float, family: list[Path], tmp_path: Path) -> None:
    """The models in it, and not the one that is not; less of them the less was kept."""
    lw.merge(ties(family[:4], density), tmp_path / "out")
    found = lw.lineage(family, tmp_path / "out")
    assert found.members == [str(f) for f in family[:4]]
    own = found.whole.weights[1:4]
    assert max(own) - min(own) < 0.02
    assert 0.1 < min(own) < 1
    assert 0.05 < found.whole.residual < 1
    assert found.whole.weights[0] < 1


def test_layers(family: list[Path], tmp_path: Path) -> None:
    """A gradient from one model to the other, seen layer by layer."""
    lw.merge(linear(family[1:3], [[1, 0], [0, 1]]), tmp_path / "out")
    found = lw.lineage(family[1:3], tmp_path / "out")
    assert list(found.layers) == ["outside", "0", "1", "2"]
    for layer, want in (("0", 1.0), ("1", 0.5), ("2", 0.0)):
        assert found.layers[layer].weights == pytest.approx([want, 1 - want], abs=1e-6)
    assert found.whole.residual > 0.1


def test_samples(family: list[Path], tmp_path: Path) -> None:
    lw.merge(linear(family[1:4], WEIGHTS), tmp_path / "out")
    every, some = (lw.lineage(family[1:4], tmp_path / "out", sample=n) for n in (1, 2))
    assert some.whole.elements < every.whole.elements
    assert some.whole.weights == pytest.approx(WEIGHTS, abs=1e-6)
    assert lw.lineage(family[1:4], tmp_path / "out", sample=2).to_json() == some.to_json()


def test_the_same_model_in_two_folders(family: list[Path], tmp_path: Path) -> None:
    twin = models.save(tmp_path / "twin", models.load(family[1]))
    lw.merge(linear(family[1:3], [1.0, 1.0]), tmp_path / "out")
    found = lw.lineage([family[2], family[1], twin], tmp_path / "out")
    assert found.whole.weights == pytest.approx([0.5, 0.25, 0.25], abs=1e-5)
    assert any("cannot be told" in note for note in found.notes)


def test_tensors_of_other_shapes_are_left_out(family: list[Path], tmp_path: Path) -> None:
    tensors = models.load(family[1]) | {"extra.weight": torch.ones(3)}
    del tensors["lm_head.weight"]
    other = models.save(tmp_path / "other", tensors)
    found = lw.lineage([family[0], other], family[1])
    assert found.left_out == ["lm_head.weight"]
    assert found.whole.weights == pytest.approx([0, 1], abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_weights_that_are_not_negative(seed: int) -> None:
    """Against every subset of the columns."""
    generator = np.random.default_rng(seed)
    a, x = generator.normal(size=(30, 4)), generator.normal(size=30)
    best, least = np.zeros(4), float(x @ x)
    for mask in range(1, 16):
        columns = [i for i in range(4) if mask >> i & 1]
        w = np.linalg.lstsq(a[:, columns], x, rcond=None)[0]
        square = float(np.sum((x - a[:, columns] @ w) ** 2))
        if (w >= 0).all() and square < least:
            best, least = np.zeros(4), square
            best[columns] = w
    found = fit(a.T @ a, a.T @ x, float(x @ x), 30, True)
    assert found.weights == pytest.approx(best, abs=1e-9)
    assert found.residual == pytest.approx(least, rel=1e-9)


def test_command_line(
    family: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lw.merge(linear(family[1:4], WEIGHTS), tmp_path / "out")
    names = [str(folder) for folder in family]
    assert main(["lineage", *names, "--of", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.count("not in it") == 2
    assert "+0.50000" in said
    assert main(["lineage", *names, "--of", str(tmp_path / "out"), "--json", "--positive"]) == 0
    assert json.loads(capsys.readouterr().out)["members"] == names[1:4]
    for wrong in (
        [names[0], "--of", str(tmp_path / "out")],
        [names[0], names[0], "--of", str(tmp_path / "out")],
        [*names, "--of", str(tmp_path / "none")],
        [*names, "--of", str(tmp_path / "out"), "--sample", "0"],
    ):
        assert main(["lineage", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_it_can_be_stopped(family: list[Path]) -> None:
    with pytest.raises(lw.Cancelled):
        lw.lineage(family[:2], family[2], progress=lambda done, total: False)
