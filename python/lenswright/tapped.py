"""Runs of a model through taps of our own, beside the hooks and edits that are active on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.inputs import Rows
from lenswright.reading import Reading

if TYPE_CHECKING:
    from lenswright.model import Model


def new_taps(
    model: Model, rows: Sequence[Sequence[int]], prompts: Sequence[int] | None = None
) -> _core.Taps:
    """Taps for a run of rows of ids that carry what is active: edits, steerings, then hooks.

    Args:
        prompts: how many ids of each row are its prompt, where an answer follows; None: all.
    """
    taps = model.core.taps()
    given = Rows.of(model, rows, None)
    model._add_edits(taps)
    model._add_steerings(taps, Reading.of(given, "right", prompts))
    model._add_hooks(taps, given, clone=True)
    return taps


def run_taps(
    model: Model,
    taps: _core.Taps,
    rows: Sequence[Sequence[int]],
    logits: str = "none",
    start_at_layer: int = 0,
    residual: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """Run rows of ids, padded on the right, and return the logits where any were asked for.

    Args:
        logits: "none", "last" [batch, 1, d_vocab] or "all" [batch, pos, d_vocab].
        start_at_layer: begin with this block, with `residual` [batch, pos, d_model].
    """
    tokens, lengths = Rows.of(model, rows, None).padded("right")
    result, _ = model.core.run(
        taps, tokens.to(model.core.device), lengths, "right", logits, start_at_layer, None, residual
    )
    return result


def unembed(model: Model, residual: torch.Tensor) -> torch.Tensor:
    """Logits [n, d_vocab] of final residuals [n, d_model]: the last norm and the unembedding."""
    rows = torch.zeros(len(residual), 1, dtype=torch.int64, device=model.core.device)
    logits, _ = model.core.run(
        model.core.taps(), rows, [], "right", "all", model.cfg.n_layers, None, residual[:, None]
    )
    assert logits is not None
    return logits[:, 0]
