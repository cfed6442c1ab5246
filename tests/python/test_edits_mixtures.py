"""Edits of mixtures: some of many matrices in one tensor, rows with edits of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from editing import (
    committed_hashes,
    direction,
    file_hashes,
    general_factors,
    hashes,
    stored_as,
)
from editing_families import MIXTURES, TRIED, Family, prepared
from lenswright.verifying.verify import relative_error
from support import random_tokens, same


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", sorted(MIXTURES))
def test_empty_edit_is_a_copy(family: Family, tmp_path: Path, name: str, fused: bool) -> None:
    source = prepared(family, tmp_path, (name, "", fused), "bfloat16", shards=2)
    done = lw.edits.from_factors(lw.load(source), {}).commit(source, tmp_path / "out", False)
    assert file_hashes(tmp_path / "out") == file_hashes(source)
    assert done.changed == {}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*sorted(MIXTURES), "bloom", "gemma2"])
def test_rows_are_separate_trials(family: Family, tmp_path: Path, name: str, dtype: str) -> None:
    model = lw.load(prepared(family, tmp_path, (name, "", False), dtype), dtype=dtype)
    tokens = random_tokens(4, 8)
    many = torch.stack([direction(model, i) for i in range(4)])
    for edit in (
        lw.edits.ablate(model, many, rows=True),
        lw.edits.from_factors(model, general_factors(model, rows=4)),
    ):
        with model.edited(edit):
            together, cache = model.run_with_cache(tokens)
        with lw._core.deterministic(), model.edited(edit):
            exact = model(tokens)
        for row in range(4):
            with model.edited(edit.row(row)):
                alone, own = model.run_with_cache(tokens[row : row + 1])
            assert relative_error(together[row : row + 1], alone) < TRIED[dtype]
            for point in ("hook_embed", "blocks.2.hook_mlp_out", "blocks.1.attn.hook_out"):
                assert relative_error(cache[point][row : row + 1], own[point]) < TRIED[dtype]
            with lw._core.deterministic(), model.edited(edit.row(row)):
                assert same(exact[row : row + 1], model(tokens[row : row + 1]))
    with model.edited(edit), pytest.raises(ValueError, match=r"batch has 3 rows.*each of 4"):
        model(tokens[:3])


def test_some_experts_of_one_tensor(family: Family, tmp_path: Path) -> None:
    source = prepared(family, tmp_path, ("gpt_oss", "", True), "bfloat16")
    model = lw.load(source)
    writers = "blocks.1.mlp.experts.{1,3}.W_out"
    edit = lw.edits.ablate(model, direction(model), writers=writers)
    stored = {name: tensor.clone() for name, tensor in model.parameters().items()}
    done = edit.commit(source, tmp_path / "out", progress=False)
    edit.apply(model)
    assert committed_hashes(tmp_path / "out") == hashes(model)
    assert sorted(done.changed) == [
        "model.layers.1.mlp.experts.down_proj", "model.layers.1.mlp.experts.down_proj_bias",
    ]  # fmt: skip
    for name in done.changed:
        new = model.parameters()[name]
        alike = [same(new[i], stored[name][i]) for i in range(5)]
        assert alike == [True, False, True, False, True]
    lines = edit.describe()
    left = [line for line in lines if not line["edited"]]
    assert len(left) == len(lines) - 2
    assert all("not among the writers asked for" in line["what"] for line in left)
    other = lw.edits.ablate(model, direction(model), writers="blocks.1.mlp.experts.2.*")
    with pytest.raises(ValueError, match=r"already carries an edit; expected edit\.revert"):
        other.apply(model)


def test_both_layouts_of_a_mixture_are_edited_alike(family: Family, tmp_path: Path) -> None:
    tokens = random_tokens(2, 9)
    results = []
    for fused in (False, True):
        source = stored_as(family("mixtral", "", fused=fused), tmp_path / f"{fused}", "float64")
        model = lw.load(source)
        edit = lw.edits.ablate(model, direction(model))
        out = tmp_path / f"{fused}-out"
        edit.commit(source, out, progress=False)
        results.append((edit.id, lw.load(out)(tokens)))
    assert results[0][0] == results[1][0]
    assert relative_error(results[0][1], results[1][1]) < 1e-12


def test_writers_of_a_mixture_are_chosen_by_kind(family: Family) -> None:
    model = lw.load(family("deepseek_v2", "groups"))
    v = direction(model)

    def edited(writers: Any) -> set[str]:
        lines = lw.edits.ablate(model, v, writers=writers).describe()
        assert len(lines) == len(model.writers())
        return {line["writer"] for line in lines if line["edited"]}

    assert len(edited("expert")) == 3 * 6
    assert edited("shared_expert") == {f"blocks.{i}.mlp.shared.W_out" for i in range(3)}
    assert len(edited("blocks.1.mlp.*")) == 7
    assert len(edited("all")) == 1 + 3 * 8
    with pytest.raises(ValueError, match="writers has 'mlp', which matches no writer"):
        edited("mlp")
