"""The two points of a norm, computed from its input and from what its module is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def is_centred(module: Any) -> bool:
    """Whether a norm takes the mean away first (LayerNorm) or not (RMSNorm)."""
    return "LayerNorm" in type(module).__name__


def epsilon(module: Any) -> float:
    """The number a norm adds to the mean square; 1e-5 where the module says nothing."""
    found = getattr(module, "eps", None)
    found = getattr(module, "variance_epsilon", None) if found is None else found
    return 1e-5 if found is None else float(found)


def norm_points(
    name: str, module: Any, source: Callable[[], Tensor]
) -> dict[str, Callable[[], Tensor]]:
    """`name`.hook_scale and `name`.hook_normalized of a norm that reads source()."""
    centred, eps = is_centred(module), epsilon(module)

    def parts() -> tuple[Tensor, Tensor]:
        x = source()
        x = x if x.dtype == torch.float64 else x.float()
        x = x - x.mean(-1, keepdim=True) if centred else x
        return x, (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()

    def normalized() -> Tensor:
        x, scale = parts()
        return x / scale

    return {f"{name}.hook_scale": lambda: parts()[1], f"{name}.hook_normalized": normalized}
