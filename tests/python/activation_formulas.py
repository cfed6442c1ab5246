"""The activations of the families, by the names that their configs have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lenswright.reference import Reference


def activation(ref: Reference, text: Any, layer: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """By the config's name for it, but for two families whose configs have none, and for xIELU."""
    from transformers.activations import ACT2FN

    keys = ("hidden_activation", "hidden_act", "activation_function", "activation")
    name = next((found for key in keys if (found := getattr(text, key, None))), None)
    if name == "xielu":
        return lambda x: _xielu(ref.find("mlp.act_fn", layer), x)
    if name is None:
        return {"bloom": _rounded_gelu, "mpt": torch.nn.functional.gelu}[text.model_type]
    return ACT2FN[name]


def _rounded_gelu(x: torch.Tensor) -> torch.Tensor:
    """BLOOM's: the approximation by tanh with eight digits of the root of 2 / pi."""
    return 0.5 * x * (1 + (0.79788456 * (x + 0.044715 * x**3)).tanh())


def _xielu(weights: Any, x: torch.Tensor) -> torch.Tensor:
    """arXiv:2411.13010, eq. 6: a parabola to the right, an exponential to the left."""
    softplus = torch.nn.functional.softplus
    a, b = softplus(weights.alpha_p), weights.beta + softplus(weights.alpha_n)
    right = a * x**2 + weights.beta * x
    left = b * (x.minimum(weights.eps).exp() - 1 - x) + weights.beta * x
    return right.where(x > 0, left)
