"""Any method on any shape and type, in memory, against its formula in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lenswright as lw
import merging_models as models
from merging_reference import merged
from merging_task_vectors import bernoulli, stream, words
from test_merge_methods import ALL

SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=2) | st.just([1, 1]) | st.just([3, 700])
TYPES = st.sampled_from([torch.bfloat16, torch.float16, torch.float32])
SPOILT = st.sampled_from([None, math.nan, math.inf, -math.inf])
LOOSE = {"slerp", "nuslerp", "multislerp", "karcher", "model_stock"}


def recipe_in_memory(label: str) -> dict[str, Any]:
    """A case's recipe of models m1, m2 ... and, where it has a base, m0."""
    method, (count, base, shared, own) = ALL[label]
    entries = [
        {"model": f"m{i + 1}", "parameters": {key: own[key][i] for key in own}}
        for i in range(count)
    ]
    recipe = {"merge_method": method, "models": entries, "parameters": shared}
    return recipe | ({"base_model": "m0"} if base else {})


@settings(max_examples=200, deadline=None)
@example("sce", [3, 700], [torch.bfloat16] * 3 + [torch.float32], 2, 1, None, 0)
@given(
    label=st.sampled_from(sorted(ALL)),
    shape=SHAPES,
    types=st.lists(TYPES, min_size=4, max_size=4),
    seed=st.integers(0, 2**32),
    zero=st.sampled_from([None, 0, 1]),
    spoilt=SPOILT,
    where=st.integers(0, 2**20),
)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero", "ignore:overflow")
def test_any_shape(
    label: str, shape: list[int], types: list[torch.dtype], seed: int, zero: int | None,
    spoilt: float | None, where: int,
) -> None:  # fmt: skip
    """spoilt: what stands in one place of one model, both by `where`."""
    method, (count, base, shared, own) = ALL[label]
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(shape, generator=generator)
    values = [first, *(first + 0.3 * torch.randn(shape, generator=generator) for _ in range(3))]
    if zero is not None:
        values[zero] = torch.zeros(shape)
    if spoilt is not None:
        values[where % 4].view(-1)[where // 4 % first.numel()] = spoilt
    tensors = [value.to(dtype) for value, dtype in zip(values, types, strict=True)]
    recipe = recipe_in_memory(label)
    name = "model.layers.0.w.weight"
    given_models = {f"m{i}": {name: value} for i, value in enumerate(tensors)}
    copies = [value.clone().view(torch.uint8) for value in tensors]
    got = lw.merge_state_dicts(given_models, recipe, seed=seed)[name]
    assert list(got.shape) == shape
    each = [{key: float(own[key][i]) for key in own} for i in range(count)]
    wide = [value.double().numpy() for value in tensors]
    want = merged(
        method, name, wide[1 : 1 + count], wide[0] if base else None, each, shared, "strict", seed
    )
    # base - base · w / w is 0 or, by its last digit, a rounding of the base.
    sizes = [np.abs(value[np.isfinite(value)]).max(initial=0) for value in wide]
    noise = 4 * np.finfo(np.float64).eps * max(sizes)
    models.judge(label, got, want, 5e-6 if method in LOOSE else 1e-6, noise)
    for i in range(4):  # nothing of theirs has changed
        assert torch.equal(given_models[f"m{i}"][name].view(torch.uint8), copies[i])


@pytest.mark.parametrize("label", ALL)
@pytest.mark.parametrize("shape", [[], [0], [0, 3], [3, 0]])
def test_empty_and_scalar(label: str, shape: list[int]) -> None:
    """A scalar is a vector of one; what is empty stays so."""
    method, (count, base, shared, own) = ALL[label]
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for _ in range(4)]
    recipe = recipe_in_memory(label)
    first = 0 if base else 1
    given_models = {f"m{i}": {"w": values[i]} for i in range(first, count + 1)}
    out = lw.merge_state_dicts(given_models, recipe, seed=3)["w"]
    assert list(out.shape) == shape
    if shape:
        return
    each = [{key: float(own[key][i]) for key in own} for i in range(count)]
    wide = [value.double().numpy().reshape(1) for value in values]
    want = merged(
        method, "w", wide[1 : 1 + count], wide[0] if base else None, each, shared, "strict", 3
    )
    models.judge(label, out.reshape(1), want, 5e-6 if method in LOOSE else 1e-6)


@pytest.mark.parametrize("density", [0.37, 2.0**-16, 3e-6, 1 - 1e-6])
def test_dare_draws_as_finely_as_density_is_given(density: float) -> None:
    """Of a million elements some are decided by further bits: those, too, as the rewrite has it."""
    count = 1 << 20
    models_ = {"base": {"w": torch.zeros(count)}, "m": {"w": torch.ones(count)}}
    recipe = {
        "merge_method": "dare_linear", "base_model": "base", "parameters": {"rescale": False},
        "models": [{"model": "m", "parameters": {"weight": 1.0, "density": density}}],
    }  # fmt: skip
    kept = lw.merge_state_dicts(models_, recipe, seed=11)["w"].double().numpy()
    ones = np.ones(count)
    want = bernoulli("w", [ones], 11, unbiased=False)(ones, {"density": density}, 0)
    assert np.array_equal(kept, want)
    expected = density * count
    assert abs(kept.sum() - expected) < 5 * np.sqrt(expected * (1 - density)) + 1e-9
    halves = words(11, stream("w", ones), count // 2)
    both = np.concatenate([halves % 2**16, halves // 2**16])
    assert (both == np.floor(density * 2**16)).sum() > 1
