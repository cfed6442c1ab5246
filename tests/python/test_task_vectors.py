"""What fine-tunes did to their base, against NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models
from lenswright.cli import main


@pytest.fixture
def trio(tmp_path: Path) -> list[Path]:
    base = models.random_tensors(0, torch.bfloat16)
    tensors = [base, *(models.random_tensors(i, torch.bfloat16, base) for i in (1, 2))]
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[1][name] = base[name].clone()  # one tensor unchanged
    tensors[2][name] = base[name].clone()
    tensors[2][name][3, 4] += 1  # and one element
    return [models.save(tmp_path / str(i), one) for i, one in enumerate(tensors)]


def test_every_number(trio: list[Path]) -> None:
    found = lw.task_vectors(trio[0], trio[1:])
    base, *others = (
        {n: v.double().numpy() for n, v in models.load(folder).items()} for folder in trio
    )
    assert {t.name for t in found.tensors} == set(base)
    for row in found.tensors:
        deltas = [other[row.name] - base[row.name] for other in others]
        assert row.elements == base[row.name].size
        assert row.base_norm == pytest.approx(np.linalg.norm(base[row.name]))
        for i, delta in enumerate(deltas):
            assert row.norms[i] == pytest.approx(np.linalg.norm(delta))
            assert row.changed[i] == np.count_nonzero(delta)
            squares = delta.size * np.sum(delta**2)
            density = np.abs(delta).sum() ** 2 / squares if squares else 0.0
            assert row.densities[i] == pytest.approx(density)
        norms = row.norms[0] * row.norms[1]
        cosine = np.sum(deltas[0] * deltas[1]) / norms if norms else 0.0
        assert row.cosines == [pytest.approx(cosine, abs=1e-12)]
        assert row.shared == np.count_nonzero((deltas[0] != 0) & (deltas[1] != 0))
        assert row.conflicts == np.count_nonzero(np.sign(deltas[0]) * np.sign(deltas[1]) < 0)


def test_layers_and_threads(trio: list[Path]) -> None:
    one, two = (lw.task_vectors(trio[0], trio[1:], threads=n) for n in (1, 2))
    assert one == two
    layers = dict(one.layers())
    assert list(layers) == ["outside", "0", "1", "2"]
    base, a = (models.load(folder) for folder in trio[:2])
    names = [name for name in base if ".layers.1." in name]
    norm = sum(float((a[n].double() - base[n].double()).pow(2).sum()) for n in names) ** 0.5
    size = sum(float(base[n].double().pow(2).sum()) for n in names) ** 0.5
    assert layers["1"]["relative"][0] == pytest.approx(norm / size)


def test_command_line(trio: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(folder) for folder in trio]
    assert main(["diff", *names]) == 1
    assert "conflicts" in capsys.readouterr().out
    assert main(["diff", *names, "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["tensors"]) == len(models.SHAPES)
    assert main(["diff", names[0], names[0], names[0]]) == 0
    with pytest.raises(ValueError, match="models is empty"):
        lw.task_vectors(names[0], [])
