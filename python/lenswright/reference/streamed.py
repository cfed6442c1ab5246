"""The oracle in bounded memory: weights as stored, one block at a time in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.reference.capture import hooks
from lenswright.reference.model import Reference
from lenswright.reference.points import values
from lenswright.reference.watch import AttentionWatch
from lenswright.verifying.lifted import lifted

Visit = Callable[[int | None, dict[str, Callable[[], Tensor]]], None]
"""Called with a block's number (None: before the first, then behind the last) and its points."""

_TYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}

ROWS = 4096
"""Outputs of a head that are widened at once."""


def _stored(module: Any) -> Iterator[Any]:
    """The floating tensors that a module reads from its checkpoint."""
    for part in module.modules():
        held = {**part._parameters, **part._buffers}
        for name, tensor in held.items():
            made = name in part._non_persistent_buffers_set  # tables, which stay as they were made
            if tensor is not None and tensor.is_floating_point() and not made:
                yield tensor


class Streamed(Reference):
    """`Reference` in float64 for checkpoints that would not fit in memory as float64.

    Beside the weights as stored there is one block in float64, and the points of one block.
    Raises as `Reference` does.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        super().__init__(path)
        self.model.requires_grad_(False)
        blocks = [self.find("", layer) for layer in range(self.n_layers)]
        kept = {id(t) for block in blocks for t in _stored(block)}
        head = self.model.get_output_embeddings()
        kept |= {id(t) for t in _stored(head)}
        for module in self.find("").modules():
            if isinstance(module, torch.nn.Embedding):
                kept |= {id(t) for t in _stored(module)}
                if hasattr(module, "scalar_embed_scale"):  # rounded to the type of the table
                    scale = torch.tensor(module.scalar_embed_scale, dtype=torch.float64)
                    module.embed_scale = scale
        for tensor in _stored(self.find("")):
            if id(tensor) not in kept:
                tensor.data = tensor.data.double()
        for block in blocks:
            _widen_while_running(block)
        head.forward = _piecewise(head)

    def loaded_as(self) -> Any:
        """The widest type that the checkpoint has."""
        types = {
            getattr(torch, _TYPES[info.dtype])
            for info in Checkpoint(self._path).tensors()
            if info.dtype in _TYPES
        }
        return reduce(torch.promote_types, types)

    def visit(self, tokens: Tensor, visit: Visit) -> None:
        """One forward of tokens [batch, pos]; every block's points are shown once and dropped."""
        raw: dict[str, Tensor] = {"tokens": tokens}
        watch = AttentionWatch()
        handles = list(hooks(self, raw, watch))
        for layer in range(self.n_layers):
            shown = self._shown(layer, raw, visit)
            handles.append(self.find("", layer).register_forward_hook(shown))
        try:
            with torch.no_grad(), watch, lifted(), _WideRows():
                raw["logits"] = self.model(tokens, use_cache=False).logits
                behind = self._points(raw, ("ln_final.", "unembed."))
                visit(None, behind | {"logits": lambda: raw["logits"]})
        finally:
            for handle in handles:
                handle.remove()

    def _points(
        self, raw: dict[str, Tensor], beginnings: tuple[str, ...]
    ) -> dict[str, Callable[[], Tensor]]:
        return {n: value for n, value in values(self, raw).items() if n.startswith(beginnings)}

    def _shown(self, layer: int, raw: dict[str, Tensor], visit: Visit) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            if layer == 0:
                visit(None, self._points(raw, ("hook_", "embed.")))
            visit(layer, self._points(raw, (f"blocks.{layer}.",)))
            for key in [key for key in raw if key.startswith(f"{layer}.")]:
                del raw[key]

        return hook


class _WideRows(TorchFunctionMode):
    """Rows that are looked up in a table come out in float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out.double() if func is torch.nn.functional.embedding else out


def _widen_while_running(block: Any) -> None:
    narrow: list[tuple[Any, Tensor]] = []

    def widen(*_: Any) -> None:
        for tensor in _stored(block):
            narrow.append((tensor, tensor.data))
            tensor.data = tensor.data.double()

    def restore(*_: Any) -> None:
        for tensor, data in narrow:
            tensor.data = data
        narrow.clear()

    block.register_forward_pre_hook(widen)
    block.register_forward_hook(restore, always_call=True)


def _piecewise(head: Any) -> Callable[[Tensor], Tensor]:
    """A head's product, a piece of its outputs at a time."""

    def forward(x: Tensor) -> Tensor:
        weights = head.weight.split(ROWS)
        biases = [None] * len(weights) if head.bias is None else head.bias.split(ROWS)
        return torch.cat(
            [
                torch.nn.functional.linear(x, w.double(), None if b is None else b.double())
                for w, b in zip(weights, biases, strict=True)
            ],
            dim=-1,
        )

    return forward
