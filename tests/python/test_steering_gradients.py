"""Gradients through what is steered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from editing import loaded
from lenswright.verifying.verify import relative_error
from steering_formulas import CASES, POINT, along, apply, made, reference
from support import random_tokens

Tiny = Callable[..., Path]


@pytest.mark.parametrize(("operation", "s", "how"), CASES)
def test_gradients_flow_through(
    tiny: Tiny, tmp_path: Path, operation: str, s: float, how: dict[str, Any]
) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens = random_tokens(2, 5)
    extra = reference(model, how)

    def hook(h: torch.Tensor, hook: Any) -> torch.Tensor:
        return apply(h, operation, along(model), s, lambda *_: 1.0, **extra)

    with model.hooks([(POINT, hook)]):
        _, expected = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    with torch.inference_mode():  # a value made there serves gradients all the same
        steering = made(model, operation, s, how, layers=1)
    with model.steered(steering):
        _, found = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    for point in ("hook_embed_grad", "blocks.0.hook_resid_post_grad"):
        assert found[point].abs().max() > 0
        assert relative_error(found[point], expected[point]) < 1e-11


def test_a_direction_can_be_trained_through_its_runs(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens = random_tokens(2, 6)

    def loss(vector: torch.Tensor) -> torch.Tensor:
        steering = lw.steering.add(vector, 0.5, unit="own", layers=1)
        with model.steered(steering):
            return model(tokens, return_type="loss")

    v = along(model).requires_grad_()
    loss(v).backward()
    assert v.grad is not None
    probe, step = along(model, 9), 1e-6
    with torch.no_grad():
        slope = (loss(v + step * probe) - loss(v - step * probe)) / (2 * step)
    assert abs(float(v.grad @ probe - slope)) < 1e-8
    assert abs(float(slope)) > 1e-4
