"""Baking: what is written is what was tried, and the model is afterwards what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import embedded
import lenswright as lw
from editing import file_hashes, stored_as
from lenswright.editing.baking import bake, one_rounding, relative, sha256
from support import random_tokens


def test_embedded_model(tmp_path: Path) -> None:
    model = embedded.model()
    before = file_hashes(embedded.MODEL)
    vector = torch.randn(model.cfg.d_model, generator=torch.Generator().manual_seed(0))
    edit = lw.edits.ablate(model, vector)
    rows = [model.prompt_tokens([p.text])[0] for p in list(embedded.splits().test)[:3]]
    plain = model(rows[0])
    baked = bake(model, edit, tmp_path / "out", rows)
    assert baked.hashes_restored
    assert baked.bytes_equal
    assert baked.untouched_equal
    assert baked.differences["tried, applied"] <= 1e-5
    assert baked.differences["applied, committed"] == 0.0
    assert baked.differences["committed, transformers"] <= 1e-5
    assert [c["demand"] for c in baked.equivalence["comparisons"]] == [1e-5, 0.0, 1e-5]
    assert torch.equal(model(rows[0]), plain)
    assert file_hashes(embedded.MODEL) == before
    assert all(row["along_after"] <= 1e-7 for row in baked.writers if row["edited"])
    for name, value in baked.equivalence["hashes"].items():
        tensor, _, when = name.partition(", ")
        folder = embedded.MODEL if when == "before" else tmp_path / "out"
        assert value == sha256(load_file(folder / "model.safetensors")[tensor])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_types_are_held_to_one_rounding(
    tiny: Callable[..., Path], tmp_path: Path, dtype: str
) -> None:
    model = lw.load(stored_as(tiny("llama-grouped"), tmp_path / "in", dtype, shards=2))
    edit = lw.edits.ablate(model, torch.arange(1.0, 41.0))
    baked = bake(model, edit, tmp_path / "out", random_tokens(3, 9).tolist())
    eps = torch.finfo(getattr(torch, dtype)).eps
    assert baked.equivalence["comparisons"][0]["demand"] == 4 * eps
    assert 1e-5 < baked.differences["tried, applied"] <= 4 * eps
    assert baked.differences["applied, committed"] == 0.0
    assert baked.differences["committed, transformers"] <= 1e-5
    assert baked.hashes_restored
    assert baked.bytes_equal
    facts = baked.equivalence["facts"]
    assert facts["tensors rewritten"] + facts["tensors carried over"] == len(
        lw.load(tmp_path / "out").parameters()
    )


def test_refused_outputs_leave_the_model_alone(tmp_path: Path) -> None:
    model = embedded.model()
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model))
    with pytest.raises(FileExistsError, match=tmp_path.name):
        bake(model, edit, tmp_path, [[1, 2]])
    assert not edit.is_applied(model)


def test_one_rounding() -> None:
    stored = {"a": torch.zeros(1), "b": torch.zeros(1, dtype=torch.bfloat16)}
    assert one_rounding(stored, []) == one_rounding(stored, ["a", "new"]) == 1e-5
    assert one_rounding(stored, ["a", "b"]) == 4 * 2.0**-7


def test_relative_and_sha256() -> None:
    assert relative(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 4.0])) == 0.25
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256(torch.empty(0)) == empty
    assert sha256(torch.arange(6).view(2, 3).t()) == sha256(torch.tensor([0, 3, 1, 4, 2, 5]))
