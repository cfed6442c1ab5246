"""Reads queries, keys, scores and pattern out of a running attention, whatever its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PRODUCTS = frozenset(
    {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}
)
_SUMS_OF_PRODUCTS = frozenset({torch.baddbmm, torch.Tensor.baddbmm})
_SOFTMAXES = frozenset({torch.nn.functional.softmax, torch.softmax, torch.Tensor.softmax})
_JOINS = frozenset({torch.cat, torch.concat})


class AttentionWatch(TorchFunctionMode):
    """Notes what the attention that is running feeds to its softmax, and what comes out.

    The last product before the softmax is that of queries and keys; the last thing joined to
    another is, where there are sinks, the scores without them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, Tensor] | None = None
        self._product: tuple[Tensor, Tensor] | None = None
        self._joined: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        if self.now is None or "pattern" in self.now:
            return out
        if func in _PRODUCTS:
            self._product = (args[0], args[1])
        elif func in _SUMS_OF_PRODUCTS:
            self._product = (
                given["batch1"] if "batch1" in given else args[1],
                given["batch2"] if "batch2" in given else args[2],
            )
        elif func in _JOINS:
            self._joined = (args[0] if args else given["tensors"])[0]
        elif func in _SOFTMAXES:
            self._keep(args[0], out)
        return out

    def _keep(self, scores: Tensor, pattern: Tensor) -> None:
        assert self.now is not None
        assert self._product is not None
        self.now["rot_q"], self.now["rot_k"] = self._product
        self.now["scores"], self.now["pattern"] = scores, pattern
        if self._joined is not None:
            self.now["joined"] = self._joined

    def over(self, attention: Any, prefix: str, raw: dict[str, Tensor]) -> Iterator[Any]:
        """Hooks that put what this attention did into `raw`, under prefix + key."""

        def begin(*_: Any) -> None:
            self.now, self._product, self._joined = {}, None, None

        def end(*_: Any) -> None:
            raw.update({prefix + key: value for key, value in (self.now or {}).items()})
            self.now = None

        yield attention.register_forward_pre_hook(begin)
        yield attention.register_forward_hook(end)
