"""Streaming statistics of activations: count, mean and variance per class, point and position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.collection import (
    HALVES,
    batches,
    items_of,
    provenance_of,
    samples_of,
    vector_shape,
)
from lenswright.moments import Statistics
from lenswright.positions import PositionRule, resolve_positions
from lenswright.progress import Progress
from lenswright.prompts import CLASSES, PromptSet, need_role
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.names import NameFilter

__all__ = ["Statistics", "collect"]

WHAT = ("mean", "variance")


def _check_what(what: Sequence[str]) -> tuple[str, ...]:
    chosen = (what,) if isinstance(what, str) else tuple(what)
    for name in chosen:
        if name not in WHAT:
            raise ValueError(f"what has {name!r}, expected some of {list(WHAT)}")
    if "mean" not in chosen:
        raise ValueError(f"what is {list(chosen)}, expected 'mean' among them")
    return chosen


def collect(
    model: Model,
    prompts: PromptSet,
    points: NameFilter = "resid_pre",
    positions: PositionRule = "post_instruction",
    what: Sequence[str] = WHAT,
    batch_size: int = 32,
    deterministic: bool = True,
    progress: bool = True,
) -> Statistics:
    """Run prompts through a model once and keep the moments of some activations.

    The run stops behind the deepest point and makes no logits; memory does not grow with the number
    of prompts. Each class is kept in two halves of its prompts (every other one in the order of
    their hashes), so that an estimate can be compared with itself.

    Args:
        prompts: the `fit` part of an `lw.Splits`.
        points: points with a vector at every position: a short name for every layer ("resid_pre"),
            full names, globs, or a list.
        positions: "post_instruction" (every token the chat template puts behind the instruction, or
            without a template every token of the ending that all prompts share), "last", an offset
            or a list of offsets (negative from the end), or "all" (every token is a sample of one
            position).
        what: "mean", and "variance" where standard errors are wanted.
        batch_size: prompts a run.
        deterministic: the same bytes for any batch size and thread count (DESIGN 1.10); False is
            faster and differs by float32 rounding.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: prompts of another part; a point that is no vector a position; no tokens behind
            the instruction; activations that are not finite.
        KeyError: an unknown point.
        IndexError: an offset beyond a prompt.
    """
    need_role(prompts, "fit", "collecting statistics")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    chosen = _check_what(what)
    names = model.names.resolve(points)
    shapes = {name: vector_shape(model, name) for name in names}
    texts, items = items_of(model, prompts)
    where = resolve_positions(positions, texts, [item.tokens for item in items], model)
    cells = len(CLASSES) * HALVES * len(where.labels)
    moments = {
        name: _core.Moments(cells, torch.Size(shape).numel(), "variance" in chosen)
        for name, shape in shapes.items()
    }
    bar = Progress("collect", len(items), "prompts", progress)
    with torch.no_grad(), _core.deterministic(deterministic), bar:
        for batch in batches(items, batch_size):
            rows, places, cell = samples_of(batch, where)
            tokens = [item.tokens for item in batch]
            taps = new_taps(model, tokens)
            for name in names:
                moments[name].read(taps, name, rows, places, cell)
            run_taps(model, taps, tokens)
            bar.step(len(batch))
    provenance = provenance_of(model, prompts, where, deterministic)
    return Statistics(moments, shapes, where.labels, where.offsets, chosen, provenance)
