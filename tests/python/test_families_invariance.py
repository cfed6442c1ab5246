"""In every family a row's numbers depend on that row: not on neighbours, padding or a cache."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from families import ROWS
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

LENGTHS = [9, 1, 17, 5]
LIMITS = {"float64": 1e-12, "float32": 1e-5}
AXES = {"pos", "query", "key"}


def rows():
    return [random_tokens(1, length, seed=length)[0].tolist() for length in LENGTHS]


def real(tensor, shape, row, length, side):
    """The part of a batched tensor that belongs to one row, its padding cut away."""
    tensor = tensor[row : row + 1]
    for axis, symbol in enumerate(shape):
        if symbol in AXES:
            start = 0 if side == "right" else tensor.shape[axis] - length
            tensor = tensor.narrow(axis, start, length)
    return tensor


def everything(model, batch, side):
    """Logits and every point of each row of a batch."""
    logits, cache = model.run_with_cache(batch, padding_side=side)
    shapes = model.points() | {"logits": ("batch", "pos", "vocab")}
    found = {**cache, "logits": logits}
    return [
        {n: real(t, shapes[n], i, len(row), side) for n, t in found.items()}
        for i, row in enumerate(batch)
    ]


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_ragged_batch(family, name, dtype):
    model = lw.load(family(name, ""), dtype=dtype)
    alone = [everything(model, [row], "right")[0] for row in rows()]
    for side in ("left", "right"):
        together = everything(model, rows(), side)
        for point in alone[0]:
            a = torch.cat([row[point].flatten() for row in together]).double()
            b = torch.cat([row[point].flatten() for row in alone]).double()
            assert relative_error(a, b) <= LIMITS[dtype], (point, side)


@pytest.mark.parametrize("name", ROWS)
def test_the_same_bytes_in_deterministic_runs(family, name):
    model = lw.load(family(name, ""), dtype="float32")
    with lw.deterministic():
        alone = [everything(model, [row], "right")[0] for row in rows()]
        for side in ("left", "right"):
            for got, expected in zip(everything(model, rows(), side), alone, strict=True):
                for point, value in expected.items():
                    assert same(got[point], value), (point, side)


@pytest.mark.parametrize("name", ROWS)
def test_a_cache_changes_nothing(family, name):
    model = lw.load(family(name, ""), dtype="float64")
    batch = [row[:9] for row in rows()]
    how = {"max_new_tokens": 24, "stop_at_eos": False, "return_type": "tokens"}
    cached, whole = (model.generate(batch, use_cache=use, **how) for use in (True, False))
    assert cached == whole


@pytest.mark.parametrize("name", ROWS)
def test_watching_changes_nothing(family, name):
    model, tokens = lw.load(family(name, ""), dtype="float32"), random_tokens(2, 13)
    quiet = model(tokens)
    watched, _ = model.run_with_cache(tokens)
    assert same(quiet, watched)
    hooks = [(name, lambda t, hook: t) for name in model.points()]
    touched = model.run_with_hooks(tokens, fwd_hooks=hooks)
    assert same(quiet, touched)
