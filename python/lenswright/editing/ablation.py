"""Ablations of a direction in a run, each row of a batch with its own: edits without an `Edit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright.model import Model

_EMBEDDING_NORMED = "embed.ln.hook_normalized"
_TINY = 1e-300


def ablation_taps(
    model: Model,
    rows: Sequence[Sequence[int]],
    directions: torch.Tensor,
    prompts: Sequence[int] | None = None,
) -> _core.Taps:
    """Taps that take from all that is written to the residual what lies along a row's direction.

    `directions` [rows, d_model], of unit length; a row of zeros changes nothing. It is the edit
    W' = (I - v vᵀ) W of every writer, biases and embeddings included, as `edits.ablate` makes it.
    `prompts`: as in `new_taps`.
    """
    taps = new_taps(model, rows, prompts)
    add_ablation(model, taps, directions)
    return taps


def add_ablation(model: Model, taps: _core.Taps, directions: torch.Tensor) -> None:
    """Let taps take from all that is written what lies along each row's direction; see above."""
    made: dict[str, torch.Tensor] = {}
    for point, writer in _written(model).items():
        norm = writer["norm"]
        if norm not in made:
            before = _before_norm(model, writer, directions)
            made[norm] = before / before.norm(dim=-1, keepdim=True).clamp_min(_TINY)
        if point == _EMBEDDING_NORMED:
            taps.write(point, _without(model, made[norm], normed=True))
        else:
            taps.write(point, _without(model, made[norm]))


def _before_norm(model: Model, writer: dict[str, Any], directions: torch.Tensor) -> torch.Tensor:
    if not directions.requires_grad:
        return _core.before_norm(model.core, writer["name"], directions)
    if not writer["norm"]:
        return directions
    # Linear in the directions: through its matrix they keep their gradient.
    identity = torch.eye(directions.shape[-1], dtype=torch.float64)
    return directions @ _core.before_norm(model.core, writer["name"], identity)


def _written(model: Model) -> dict[str, dict[str, Any]]:
    """Points where all that is written can be seen, with a writer that is seen there."""
    points = {}
    for writer in model.writers():
        point = writer["point"]
        if writer["kind"] in ("expert", "shared_expert"):
            point = f"blocks.{writer['layer']}.mlp.hook_out"  # their sum, weighted
        elif writer["norm"] == "embed.ln":
            point = _EMBEDDING_NORMED  # what was written is not seen before its norm
        points[point] = writer
    return points


def _without(
    model: Model, directions: torch.Tensor, normed: bool = False
) -> Callable[[torch.Tensor], torch.Tensor]:
    # Sixteen bits are too few for a projection.
    wide = torch.promote_types(model.core.dtype, torch.float32)
    v = directions.to(model.core.device, wide)[:, None]

    def without(written: torch.Tensor) -> torch.Tensor:
        y = written.to(wide)
        along = (y * v).sum(-1, keepdim=True)
        y = y - along * v
        if normed:  # of y / scale: what is left has a smaller scale
            y = y / (1 - along.square() / y.shape[-1]).sqrt()
        return y.to(written.dtype)

    return without
