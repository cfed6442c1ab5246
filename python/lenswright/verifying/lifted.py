"""`transformers` in float64 throughout: its casts to narrower types become casts to float64.

A `transformers` model loaded in float64 still casts norms, softmax and rotations down to float32,
and is right to 1e-7 only. Run under `lifted` it is right to about 1e-15.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Iterator

_NARROW = frozenset({torch.float32, torch.float16, torch.bfloat16})
_NARROWING = frozenset({torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16})
_TYPE_NAMES = frozenset({"torch.FloatTensor", "torch.HalfTensor", "torch.BFloat16Tensor"})


class Lifted(TorchFunctionMode):
    """Turns every cast to float32, float16 or bfloat16 into a cast to float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _NARROWING:
            return args[0].double()
        like = func is torch.Tensor.to and len(args) > 1 and isinstance(args[1], torch.Tensor)
        if func is torch.Tensor.type_as or like:
            return args[0].to(args[1].device, _lift(args[1].dtype))
        named = {key: _lift(value) for key, value in (kwargs or {}).items()}
        return func(*map(_lift, args), **named)


def _lift(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return torch.float64 if value in _NARROW else value
    return torch.float64 if isinstance(value, str) and value in _TYPE_NAMES else value


@contextmanager
def lifted() -> Iterator[None]:
    """`Lifted`, with float64 as torch's default type, so that bare factories make float64 too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Lifted():
            yield
    finally:
        torch.set_default_dtype(before)
