"""Edits in trial: a run gives what it would give with the edit in the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lenswright as lw
from editing import FAMILIES, direction, general_factors, loaded
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

Tiny = Callable[..., Path]
TRIED = {"float64": 1e-12, "float32": 1e-5}


@pytest.mark.parametrize("dtype", TRIED)
@pytest.mark.parametrize("name", FAMILIES)
def test_tried_is_applied(tiny: Tiny, tmp_path: Path, name: str, dtype: str) -> None:
    model = loaded(tiny, tmp_path, name, dtype)
    tokens = random_tokens(3, 11)
    plain = model(tokens)
    for edit in (
        lw.edits.ablate(model, direction(model)),
        lw.edits.ablate(model, direction(model), writers="attention", strength=1.7),
        lw.edits.ablate(model, {1: direction(model), 2: direction(model, 1)}),
        lw.edits.from_factors(model, general_factors(model)),
    ):
        with model.edited(edit):
            tried, seen = model.run_with_cache(tokens)
        assert same(model(tokens), plain), "a trial changed a weight"
        edit.apply(model)
        applied, there = model.run_with_cache(tokens)
        edit.revert(model)
        assert relative_error(tried, applied) < TRIED[dtype]
        assert relative_error(applied, plain) > 1e-3, "the edit does nothing"
        for point, value in there.items():
            assert relative_error(seen[point], value) < TRIED[dtype], point


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_trial_reaches_heads_gradients_and_cached_steps(
    tiny: Tiny, tmp_path: Path, name: str
) -> None:
    model = loaded(tiny, tmp_path, name)
    tokens = random_tokens(2, 9)
    edit = lw.edits.from_factors(model, general_factors(model))
    point = "blocks.1.attn.hook_result"
    hooks = [(point, lambda value, hook: 1.5 * value)]

    def everything() -> list[torch.Tensor]:
        _, cache = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
        results = model.capture(tokens, point)[point]
        written = model.run_with_hooks(tokens, fwd_hooks=hooks)
        return [results, written, *cache.values()]

    with model.edited(edit):
        tried, said = everything(), model.generate(tokens, max_new_tokens=8)
    edit.apply(model)
    applied, told = everything(), model.generate(tokens, max_new_tokens=8)
    assert max(relative_error(a, b) for a, b in zip(tried, applied, strict=True)) < 1e-11
    assert torch.equal(torch.as_tensor(said), torch.as_tensor(told))


def test_trial_in_sixteen_bits_projects_in_float32(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama", "bfloat16", "bfloat16")
    v = direction(model)
    edit = lw.edits.ablate(model, v, writers="mlp")
    with model.edited(edit):
        out = model.capture(random_tokens(2, 9), "blocks.1.hook_mlp_out")["blocks.1.hook_mlp_out"]
    assert out.dtype == torch.bfloat16
    left = (out.double() @ (v / v.norm())).abs().max() / out.double().norm(dim=-1).max()
    assert left < 2e-3  # one rounding to bfloat16; v rounded to bfloat16 would leave more


def test_trial_after_inference_mode_has_gradients(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    with torch.inference_mode():
        edit = lw.edits.ablate(model, direction(model))
        with model.edited(edit):
            model(random_tokens(1, 5))
    with model.edited(edit):
        _, cache = model.run_with_cache(random_tokens(1, 5), incl_bwd=True, return_type="loss")
    assert cache["blocks.0.hook_resid_pre_grad"].abs().max() > 0


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_rows_are_separate_trials(tiny: Tiny, tmp_path: Path, name: str) -> None:
    model = loaded(tiny, tmp_path, name)
    tokens = random_tokens(4, 10)
    many = torch.stack([direction(model, i) for i in range(4)])
    for edit in (
        lw.edits.ablate(model, many, rows=True),
        lw.edits.ablate(model, {0: many, 2: many.flip(0)}, rows=True, strength=0.5),
        lw.edits.from_factors(model, general_factors(model, rows=4)),
    ):
        assert edit.rows == 4
        with model.edited(edit):
            together, cache = model.run_with_cache(tokens)
        for row in range(4):
            with model.edited(edit.row(row)):
                alone, own = model.run_with_cache(tokens[row : row + 1])
            assert relative_error(together[row : row + 1], alone) < 1e-12
            points = ["hook_embed", "blocks.2.hook_mlp_out", "blocks.1.attn.hook_out"]
            assert max(relative_error(cache[p][row : row + 1], own[p]) for p in points) < 1e-12
        swapped = edit.take([2, 2, 0])
        with model.edited(swapped):
            again = model(tokens[[2, 2, 0]])
        assert relative_error(again, together[[2, 2, 0]]) < 1e-12


def test_rows_are_the_same_bytes_when_deterministic(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2", "float32")
    tokens = random_tokens(3, 8)
    many = torch.stack([direction(model, i) for i in range(3)])
    edit = lw.edits.ablate(model, many, rows=True)
    with lw._core.deterministic():
        with model.edited(edit):
            together = model(tokens)
        for row in range(3):
            with model.edited(edit.row(row)):
                assert same(together[row : row + 1], model(tokens[row : row + 1]))


def test_rows_must_be_the_batch(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    edit = lw.edits.ablate(model, torch.eye(30)[:3], rows=True)
    with model.edited(edit), pytest.raises(ValueError, match=r"batch has 2 rows.*each of 3"):
        model(random_tokens(2, 5))
    with pytest.raises(ValueError, match=r"3 edits.*edit\.row"):
        edit.apply(model)
    with pytest.raises(IndexError, match="row is 3, expected 0 to 2"):
        edit.row(3)
    with pytest.raises(IndexError, match="row is -1"):
        edit.take([0, -1])


def test_two_trials_of_one_writer_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    first = lw.edits.ablate(model, direction(model), writers="mlp")
    second = lw.edits.ablate(model, direction(model, 1), writers="attention")
    with model.edited(first, second):
        both = model(random_tokens(1, 5))
    with model.edited(first), model.edited(second):
        assert same(model(random_tokens(1, 5)), both)
    with model.edited(first, first), pytest.raises(ValueError, match="already edited in this run"):
        model(random_tokens(1, 5))
