"""What a run may be given, and what it is told of the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.inputs import Rows


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model()


@pytest.mark.parametrize(("given", "rows"), [
    ([1, 2, 3], [[1, 2, 3]]),
    ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ([[1], [2, 3]], [[1], [2, 3]]),
    (torch.tensor([1, 2]), [[1, 2]]),
    (torch.tensor([[1, 2], [3, 4]], dtype=torch.int32), [[1, 2], [3, 4]]),
    ([torch.tensor([1, 2]), [3]], [[1, 2], [3]]),
    (((1, 2), (3,)), [[1, 2], [3]]),
], ids=str)  # fmt: skip
def test_ids(model: lw.Model, given: Any, rows: list[list[int]]) -> None:
    made = Rows.of(model, given, None)
    assert made.lists() == rows
    assert not made.text
    assert made.lengths == ([] if made.tokens is not None else [len(row) for row in rows])


def test_texts(model: lw.Model) -> None:
    one, two = (model.tokenizer.encode(text) for text in ("make a bench", "make a"))
    assert Rows.of(model, "make a bench", None).lists() == [one]
    assert Rows.of(model, ["make a bench", "make a"], None).lists() == [one, two]
    assert Rows.of(model, ("make a", "make a"), None).text


def test_residuals(model: lw.Model) -> None:
    residual = torch.randn(2, 3, model.cfg.d_model, dtype=torch.float64)
    made = Rows.of(model, residual, 1)
    assert made.residual is not None
    assert made.residual.dtype == model.cfg.dtype
    assert made.lists() == [[0, 0, 0], [0, 0, 0]]
    for wrong in (residual[0], residual[..., :5], [1, 2]):
        with pytest.raises(ValueError, match=f"a residual .batch, pos, {model.cfg.d_model}"):
            Rows.of(model, wrong, 1)


@pytest.mark.parametrize(("given", "error", "match"), [
    ([], ValueError, "no rows"), ([[]], ValueError, "row 0 of the input is empty"),
    ([[1], []], ValueError, "row 1 of the input is empty"),
    (torch.zeros(0, 3, dtype=torch.int64), ValueError, "not empty"),
    (torch.zeros(2, 3), ValueError, "expected integer ids"),
    (torch.ones(2, 3, dtype=torch.bool), ValueError, "expected integer ids"),
    (torch.ones(2, 3, 4, dtype=torch.int64), ValueError, "expected integer ids"),
    (["a", [1]], TypeError, "mixes texts and ids"),
    ([["1"]], TypeError, "row 0 of the input has '1'"),
    ([[1], [1.5]], TypeError, "row 1 of the input has 1.5"),
    ([[True]], TypeError, "row 0 of the input has True"),
], ids=str)  # fmt: skip
def test_what_is_refused(model: lw.Model, given: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        Rows.of(model, given, None)


@pytest.mark.parametrize(("side", "expected"), [
    ("right", [[1, 2, 3], [4, 0, 0]]), ("left", [[1, 2, 3], [0, 0, 4]]),
])  # fmt: skip
def test_padding(model: lw.Model, side: str, expected: list[list[int]]) -> None:
    tokens, lengths = Rows.of(model, [[1, 2, 3], [4]], None).padded(side)
    assert tokens.tolist() == expected
    assert lengths == [3, 1]


@pytest.mark.parametrize(("pos_slice", "expected"), [
    (None, None), (1, [1]), (-1, [4]), (slice(1, 3), [1, 2]), ((1, 5, 2), [1, 3]), ([0, 4], [0, 4]),
    (slice(-2, None), [3, 4]),
], ids=str)  # fmt: skip
def test_positions(model: lw.Model, pos_slice: Any, expected: list[int] | None) -> None:
    places = Rows.of(model, [[1, 2, 3, 4, 5], [4]], None).positions(pos_slice)
    assert (None if places is None else places.tolist()) == expected


def test_positions_that_are_not_there(model: lw.Model) -> None:
    rows = Rows.of(model, [[1, 2, 3]], None)
    for wrong in (3, [0, 5], -4):
        with pytest.raises(IndexError, match="there are 3 positions"):
            rows.positions(wrong)
    with pytest.raises(ValueError, match="leaves none of 3 positions"):
        rows.positions(slice(2, 1))
