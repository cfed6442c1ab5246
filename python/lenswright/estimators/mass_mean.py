"""Mass-mean probes: write along the difference of means, read through the covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.lda import Kind, check_kind, needs_of, probe_of
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method(covariance: Kind = "shrinkage") -> Method:
    """The difference of means, with the probe that reads it."""
    check_kind(covariance)

    def estimate(contrast: Contrast) -> Estimate:
        return Estimate(contrast.delta, probe_of(contrast, covariance))

    return Method("mass_mean", needs_of(covariance), estimate, {"covariance": covariance})


def mass_mean(
    stats: Statistics,
    covariance: Kind = "shrinkage",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """Mass-mean probing: the direction δ, and the probe σ(δᵀ Σ⁻¹ (x - midpoint)).

    unit and raw are those of `difference_of_means`; `more` has the probe's weight (Σ⁻¹ δ), bias and
    shrinkage. One writes along unit and reads with weight.

    Example:
        >>> probes = lw.directions.mass_mean(stats)
        >>> probes.found["blocks.2.hook_resid_pre"].more["weight"]

    Args:
        stats: with "covariance" or "samples" ("variance" is enough for "diagonal").
        covariance: see `lda`.
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: an unknown covariance; the statistics lack what is needed.

    Source: Marks and Tegmark 2023 (arXiv 2310.06824), section 5.1, equations 1 and 2.
    """
    return estimated(stats, method(covariance), positive, negative)
