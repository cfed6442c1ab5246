"""Several directions from a self-organising map of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method(
    rows: int = 4, columns: int = 4, steps: int = 10000, rate: float = 0.01,
    spread: float = 0.33, seed: int = 0,
) -> Method:  # fmt: skip
    """Neurons of a map minus the mean of the other class."""
    settings: dict[str, Any] = {
        "rows": rows, "columns": columns, "steps": steps, "rate": rate, "spread": spread,
        "seed": seed,
    }  # fmt: skip

    def estimate(contrast: Contrast) -> Estimate:
        samples = contrast.positive.samples
        assert samples is not None
        neurons = _core.som(samples, **settings)
        nearest = torch.cdist(samples, neurons).argmin(1)
        share = torch.bincount(nearest, minlength=len(neurons)).double() / len(samples)
        order = torch.argsort(share, descending=True, stable=True)
        away = (neurons - contrast.negative.mean)[order]
        lengths = away.norm(dim=1, keepdim=True)
        units = torch.where(lengths > 0, away / lengths.clamp_min(1e-300), 0.0)
        return Estimate(away[0], {"neurons": units, "share": share[order]})

    return Method("som", ("samples",), estimate, settings)


def som(
    stats: Statistics,
    rows: int = 4,
    columns: int = 4,
    steps: int = 10000,
    rate: float = 0.01,
    spread: float = 0.33,
    seed: int = 0,
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """Directions from the mean of the negative class to the neurons of a map of the positive one.

    A self-organising map covers the positive samples with rows x columns neurons; each gives a
    direction, and they are not orthogonal: `more["neurons"]` [positions, neurons, d] of unit
    length, the one nearest to most samples first, `more["share"]` those shares. unit is the first.
    `orthonormal` makes a basis of some of them.

    Example:
        >>> neurons = lw.directions.som(stats, rows=2, columns=2).found["blocks.2.hook_resid_pre"]
        >>> lw.directions.orthonormal(neurons.more["neurons"][-1, :3])

    Args:
        stats: with "samples".
        rows, columns: of the map.
        steps: one random sample each.
        rate, spread: of learning and of its neighbourhood, both falling to a third.
        seed: of the start and of the order of samples.
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: a setting out of range; statistics without samples.

    Source: arXiv 2511.08379 (SOM directions); Kohonen 1982.
    """
    made = method(rows, columns, steps, rate, spread, seed)
    return estimated(stats, made, positive, negative)
