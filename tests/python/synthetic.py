"""Statistics made of numbers instead of a model's activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lenswright import _core
from lenswright.collecting.accumulators import Kind, new_parts
from lenswright.collecting.statistics import Statistics

POINT = "blocks.1.hook_resid_pre"
OTHER = "blocks.2.hook_resid_pre"
EVERY = ("mean", "variance", "covariance", "norms", "extremes", "quantiles", "histogram", "samples")


def digest(key: int) -> str:
    """The digest that a prompt of this number would have."""
    return key.to_bytes(8, "big", signed=True).hex()


def data(
    n: tuple[int, int] = (17, 25), positions: int = 2, d: int = 7, seed: int = 0, shift: float = 2.0
) -> list[np.ndarray]:
    """Random activations [n, positions, d] of both classes, correlated and off centre."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(d, d))
    away = random.normal(size=d) * shift
    centre = random.normal(size=d) * 3
    return [
        random.normal(size=(count, positions, d)) @ mixing + centre + (away if plus else 0)
        for plus, count in zip((True, False), n, strict=True)
    ]


def statistics(
    classes: Sequence[np.ndarray],
    what: Sequence[str] = EVERY,
    pairs: bool = False,
    points: Sequence[str] = (POINT,),
    order: Sequence[int] | None = None,
    first: int = 0,
    how: Kind | None = None,
) -> Statistics:
    """Statistics of classes [n, positions, d]; every other sample is of the second half.

    Prompts are numbered class by class from `first`; `order` is that in which they are added.
    """
    positions, d = classes[0].shape[1:]
    how = how or Kind()
    parts = new_parts(dict.fromkeys(points, (d,)), 4 * positions, what, how)
    rows = [(c, i) for c, values in enumerate(classes) for i in range(len(values))]
    for at in range(len(rows)) if order is None else order:
        label, i = rows[at]
        cells = (label * 2 + i % 2) * positions + torch.arange(positions)
        keys = torch.full((positions,), first + at)
        samples = _core.Samples(torch.zeros_like(cells), torch.arange(positions), cells, keys)
        for kept in parts.values():
            for point in points:
                kept[point].take(torch.from_numpy(classes[label][i].copy()), samples)
    digests = [digest(first + at) for at in range(len(rows))]
    fit = {
        "role": "fit", "sha256": "", "digests": digests,
        "positive": len(classes[0]), "negative": len(classes[1]),
    }  # fmt: skip
    if pairs:
        fit["pairs"] = {digest(first + at): str(i) for at, (_, i) in enumerate(rows)}
    provenance = {
        "model": {"name": "none", "n_layers": 3, "d_model": d}, "suffix": positions, "fit": fit,
    }  # fmt: skip
    moments = parts.pop("moments")
    labels, offsets = [f"p{i}" for i in range(positions)], list(range(-positions, 0))
    shapes = dict.fromkeys(points, (d,))
    return Statistics(moments, shapes, labels, offsets, tuple(what), provenance, parts)
