"""The mean difference of pairs of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright.estimators.contrast import Contrast, contrasts
from lenswright.estimators.found import Directions, Found
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method() -> Method:
    """The mean of the differences."""

    def estimate(contrast: Contrast) -> Estimate:
        differences = contrast.differences
        assert differences is not None
        mean = differences.mean(0)
        spread = (differences - mean).square().sum(0) / (len(differences) - 1)
        more = {
            "paired_error": (spread.sum() / len(differences)).sqrt(),
            "agreeing": (differences @ mean > 0).double().mean(),
        }
        return Estimate(mean, more)

    return Method("paired", ("variance", "samples", "pairs"), estimate)


def paired(stats: Statistics, positive: str = "positive", negative: str = "negative") -> Directions:
    """The mean of the differences between prompts that form pairs, at every point and position.

    raw is that of `difference_of_means` over the same prompts, d̄ = mean_i(x+_i - x-_i); what pairs
    have in common (their topic, their length) does not enter its error:

    * standard_error = sqrt(sum_j var_j(x+_i - x-_i) / pairs);
    * agreeing (in `more`): share of pairs whose difference points along d̄.

    Example:
        >>> splits = lw.Splits.from_pairs(pairs)  # [(positive text, negative text), ...]
        >>> stats = model.collect(splits.fit, what=("mean", "variance", "samples"))
        >>> lw.directions.paired(stats).measure("standard_error")

    Args:
        stats: with "samples", of prompts whose rows have a "pair", one of each in both classes, and
            positions of one sample a prompt.
        positive, negative: classes; the direction points from the second to the first.

    Raises:
        KeyError: no such class.
        ValueError: no samples, no pairs, or a pair of one class.

    Source: Rimsky et al. 2024 (arXiv 2312.06681), equation 1.
    """
    directions = estimated(stats, method(), positive, negative)
    found = {}
    for point, one in directions.found.items():
        parts = one.tensors()
        parts["standard_error"] = parts.pop("more.paired_error")
        mean = [part.differences for part, *_ in contrasts(
            stats, point, positive, negative, ("samples", "pairs"))]  # fmt: skip
        raw = torch.stack([d.mean(0) for d in mean if d is not None]).reshape(one.raw.shape)
        parts["raw"], parts["norm"] = raw, raw.flatten(1).norm(dim=1)
        found[point] = Found.of(parts)
    return Directions(found, directions.positions, directions.offsets, directions.provenance)
