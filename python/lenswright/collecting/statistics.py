"""Streaming statistics of activations: what is kept per class, point and position."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.batches import batches
from lenswright.collecting.accumulators import Kind, Parts, checked_what, default_edges, new_parts
from lenswright.collecting.collection import (
    HALVES,
    Item,
    items_of,
    provenance_of,
    samples_of,
    vector_shape,
)
from lenswright.collecting.interrupted import Resumable
from lenswright.collecting.moments import Statistics
from lenswright.collecting.positions import PositionRule, Positions, resolve_positions
from lenswright.progress import Progress
from lenswright.prompting.prompts import CLASSES, PromptSet, need_role
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.names import NameFilter

__all__ = ["Statistics", "collect"]


def collect(
    model: Model,
    prompts: PromptSet,
    points: NameFilter = "resid_pre",
    positions: PositionRule = "post_instruction",
    what: str | Sequence[str] = ("mean", "variance"),
    batch_size: int = 32,
    deterministic: bool = True,
    progress: bool = True,
    winsorise: float = 1.0,
    examples: int = 3,
    error: float = 0.01,
    edges: Sequence[float] | None = None,
    checkpoint: str | Path | None = None,
    every: float = 60.0,
) -> Statistics:
    """Run prompts through a model once and keep statistics of some activations.

    The run stops behind the deepest point and makes no logits; memory does not grow with the number
    of prompts. Each class is kept in two halves of its prompts (every other one in the order of
    their hashes), so that an estimate can be compared with itself. What is kept of two sets of
    prompts can be merged (Chan, Golub and LeVeque 1983) in any order.

    Args:
        prompts: the `fit` part of an `lw.Splits`.
        points: points with a vector at every position: a short name for every layer ("resid_pre"),
            full names, globs, or a list.
        positions: one sample of each prompt: "last", "first", offsets (negative from the end),
            "post_instruction" and "pre_instruction" (every token the chat template puts behind or
            before the instruction, or without a template every token that all prompts end or begin
            with). Many samples of each at one position: "all", "instruction", "template", a slice,
            "span:KEY" (the text that a prompt's row names), a predicate (place, text) -> bool.
        what: "mean", and of
            "variance" (of each coordinate);
            "covariance" (8 d² bytes for each class, half, point and position);
            "norms" (of the vectors: mean, variance, quantiles, extremes);
            "extremes" (of each coordinate, with the prompt and place they come from);
            "quantiles" (of each coordinate, to a share `error` of their size: DDSketch, Masson, Rim
            and Lee 2019; magnitudes up to 1e-9 count as zero);
            "histogram" (of all components together);
            "samples" (the vectors themselves: memory grows with the prompts; what probes, pairs,
            maps and permutations are made from).
        batch_size: prompts a run.
        deterministic: the same bytes for any batch size and thread count (DESIGN 1.10); False is
            faster and differs by float32 rounding.
        progress: show it where it takes longer than a second.
        winsorise: clamp every vector to plus and minus this quantile of its own magnitudes, prompt
            by prompt and point by point; 1 leaves it as it is.
        examples: extremes that are kept of each coordinate.
        error: of quantiles, relative, 0.0001 to 0.5.
        edges: of the histogram's bins, ascending; default four a decade from 1e-4 to 1e4 and zero
            between.
        checkpoint: a file where an unfinished collection is kept, written now and then and at
            Ctrl-C; the same call goes on from it, and removes it at the end.
        every: seconds between two writes of it.

    Raises:
        ValueError: prompts of another part; a point that is no vector a position; no tokens where
            the rule looks; activations that are not finite; covariances too large for the memory; a
            checkpoint of another collection.
        KeyError: an unknown point, a span that a row lacks.
        IndexError: an offset beyond a prompt.
        KeyboardInterrupt: Ctrl-C; with a checkpoint what was done is kept.
    """
    need_role(prompts, "fit", "collecting statistics")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    if not 0 < winsorise <= 1:
        raise ValueError(f"winsorise is {winsorise}, expected a quantile above 0 and at most 1")
    chosen = checked_what(what)
    shapes = {name: vector_shape(model, name) for name in model.names.resolve(points)}
    items = items_of(model, prompts)
    where = resolve_positions(
        positions, [item.prompt for item in items], [item.tokens for item in items], model
    )
    how = Kind(examples, error, default_edges() if edges is None else tuple(edges), winsorise)
    parts = new_parts(shapes, len(CLASSES) * HALVES * len(where.labels), chosen, how)
    provenance = provenance_of(model, prompts, where, deterministic) | {"winsorise": winsorise}
    facts = {
        "points": list(shapes), "positions": where.labels, "offsets": where.offsets,
        "what": chosen, "kept": vars(how), "places": where.digest, "provenance": provenance,
    }  # fmt: skip
    file = Resumable(checkpoint, facts, every)
    parts, done = file.resume(parts)
    bar = Progress("collect", len(items) - done, "prompts", progress)
    with torch.no_grad(), _core.deterministic(deterministic), bar, file:
        left = items[done:]
        for part in batches(len(left), batch_size):
            batch = left[part]
            _add(model, batch, where, parts, winsorise)
            done += len(batch)
            bar.step(len(batch))
            file.batch_done(parts, done)
    file.finish()
    moments = parts.pop("moments")
    return Statistics(moments, shapes, where.labels, where.offsets, chosen, provenance, parts)


def _add(
    model: Model, batch: Sequence[Item], where: Positions, parts: Parts, winsorise: float
) -> None:
    """Run one batch and add its samples to every accumulator."""
    rows, places, cells, keys = samples_of(batch, where)
    if len(rows) == 0:  # none of these prompts has a token that the rule finds
        return
    samples = _core.Samples(rows, places, cells, keys)
    tokens = [item.tokens for item in batch]
    taps = new_taps(model, tokens)
    for name in next(iter(parts.values())):
        _core.read_statistics([kept[name] for kept in parts.values()], taps, name, samples,
                              winsorise)  # fmt: skip
    run_taps(model, taps, tokens)
