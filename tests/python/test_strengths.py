"""Strengths of edits: one number, kernels over layers, kinds of writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from edit_methods import length_one
from editing import direction, loaded

Tiny = Callable[..., Path]


def test_a_kernel_is_its_formula(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    v = direction(model)
    kernel = lw.edits.Kernel(position=1.25, distance=1.0, max_weight=1.2, min_weight=0.2)
    edit = lw.edits.ablate(model, v, strength={"mlp": kernel, "attention": {0: 0.5}})
    unit = length_one(v)
    factors = edit.factors()
    found = {name: float(f["U"][0] @ unit) for name, f in factors.items()}
    expected = {f"blocks.{i}.mlp.W_out": 1.2 + abs(i - 1.25) * (0.2 - 1.2) for i in (1, 2)}
    expected |= {"blocks.0.attn.W_O": 0.5}
    assert found == pytest.approx(expected, rel=1e-14)
    why = {line["writer"]: line["what"] for line in edit.describe() if not line["edited"]}
    assert why["blocks.0.mlp.W_out"] == "farther than 1 layers from 1.25"
    assert why["blocks.2.attn.W_O"] == "no strength is given for layer 2"
    assert why["embed.W_E"] == "no strength is given for kind 'token_embedding'"
    assert edit.provenance["strength"]["mlp"]["kernel"]["position"] == 1.25
    everywhere = lw.edits.ablate(model, v, strength=lw.edits.Kernel(1, 5))
    why = {line["writer"]: line["what"] for line in everywhere.describe() if not line["edited"]}
    assert why["pos_embed.W_pos"] == "strengths are given for layers, and it is in none"


@pytest.mark.parametrize(
    ("strength", "kind", "message"),
    [
        ({"atention": 1.0}, ValueError, "did you mean 'attention'"),
        ({7: 1.0}, IndexError, "strength has layer 7, expected 0 to 2"),
        ({"mlp": {-1: 1.0}}, IndexError, "strength has layer -1"),
        ({"mlp": "much"}, TypeError, "strength has str, expected a number, a Kernel"),
        ({"mlp": float("nan")}, ValueError, "strength is nan"),
    ],
)
def test_bad_strengths(tiny: Tiny, strength: Any, kind: type[Exception], message: str) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(kind, match=message):
        lw.edits.ablate(model, torch.ones(30), strength=strength)


def test_strengths_that_reach_nobody_are_refused(tiny: Tiny) -> None:
    model = lw.load(tiny("llama"))
    v = torch.ones(30)
    with pytest.raises(
        ValueError, match=r"no writer is left to edit: 'blocks.0.mlp.W_out': farther"
    ):
        lw.edits.ablate(model, v, writers="mlp", strength=lw.edits.Kernel(20.0, 3.0))
    with pytest.raises(ValueError, match=r"no writer is left to edit: .*no direction is given"):
        lw.edits.ablate(model, {2: v}, writers="blocks.0.*")


@pytest.mark.parametrize(("position", "distance"), [(1.0, 0.0), (1.0, -2.0), (float("inf"), 1.0)])
def test_bad_kernels(position: float, distance: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        lw.edits.Kernel(position, distance)
