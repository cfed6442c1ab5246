"""Rotary tables as checkpoints' authors had them: in float32, and of the row that is run alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def unlifted() -> Iterator[None]:
    """`transformers` as it is written, also in the middle of `lifted`."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch._C.DisableTorchFunction():
            yield
    finally:
        torch.set_default_dtype(before)


def steady(model: Any) -> None:
    """Make a model's tables depend on nothing but the length of the rows.

    Two kinds of scaling make them anew in a forward, where `lifted` would turn their float32
    operations, which are part of the checkpoint, into float64; and one of them remembers the
    longest row there ever was.
    """
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        kinds = kinds if isinstance(kinds, dict) else {"": kinds}
        changing = [layers for layers, kind in kinds.items() if kind in ("dynamic", "longrope")]
        if changing:
            module.forward = _anew(module, changing, module.forward)


def _anew(module: Any, changing: list[str], forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with unlifted():
            for layers in changing:
                prefix = f"{layers}_" if layers else ""
                first = getattr(module, f"{prefix}original_inv_freq")
                setattr(module, f"{prefix}inv_freq", first.clone())
                setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)
            forward(*args, **kwargs)
        # The tables are there now; this call multiplies them with positions, and may be lifted.
        return forward(*args, **kwargs)

    return run
