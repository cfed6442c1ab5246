"""Linear discriminants: the difference of means as the covariance sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, accuracy, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics

KINDS = ("shrinkage", "ledoit_wolf", "full", "diagonal")
Kind = str | float


def check_kind(covariance: Kind) -> None:
    """Raise ValueError unless it is a kind of covariance or a share of shrinkage."""
    if isinstance(covariance, str):
        if covariance not in KINDS:
            raise ValueError(
                f"covariance is {covariance!r}, expected one of {list(KINDS)} or a share of "
                "shrinkage from 0 to 1"
            )
    elif not 0 <= covariance <= 1:
        raise ValueError(f"covariance is {covariance}, expected a share from 0 to 1")


def needs_of(covariance: Kind) -> tuple[str, ...]:
    """What has to be kept for a kind of covariance."""
    if covariance == "diagonal":
        return ("variance",)
    return ("covariance", "samples") if covariance == "ledoit_wolf" else ("covariance",)


def share_of(contrast: Contrast, covariance: Kind, matrix: torch.Tensor, free: int) -> float:
    """How far a covariance [d, d] of so many degrees of freedom is drawn to the identity."""
    if covariance == "full":
        return 0.0
    if covariance == "shrinkage":
        return _core.oracle_share(matrix, free)
    if covariance == "ledoit_wolf":
        plus, minus = contrast.positive.samples, contrast.negative.samples
        assert plus is not None
        assert minus is not None
        return _core.ledoit_wolf_share(torch.cat([plus - plus.mean(0), minus - minus.mean(0)]))
    return float(covariance)


def solved(contrast: Contrast, covariance: Kind) -> tuple[torch.Tensor, float]:
    """covariance⁻¹ δ [d] with the covariance within the classes, and the share of shrinkage."""
    if covariance == "diagonal":
        plus, minus = contrast.positive, contrast.negative
        assert plus.variance is not None
        assert minus.variance is not None
        free = plus.n + minus.n - 2
        variance = ((plus.n - 1) * plus.variance + (minus.n - 1) * minus.variance) / free
        return _core.diagonal_lda(variance, contrast.delta), 0.0
    within = contrast.within()
    free = contrast.positive.n + contrast.negative.n - 2
    share = share_of(contrast, covariance, within, free)
    return _core.lda(_core.shrunk(within, share), contrast.delta), share


def probe_of(contrast: Contrast, covariance: Kind) -> dict[str, torch.Tensor]:
    """weight [d], bias and shrinkage: log-odds of two Gaussians with that covariance."""
    weight, share = solved(contrast, covariance)
    middle = (contrast.positive.mean + contrast.negative.mean) / 2
    return {
        "weight": weight, "bias": -weight @ middle,
        "shrinkage": torch.tensor(share, dtype=torch.float64),
    }  # fmt: skip


def method(covariance: Kind = "shrinkage") -> Method:
    """Fisher's discriminant with a kind of covariance."""
    check_kind(covariance)

    def estimate(contrast: Contrast) -> Estimate:
        probe = probe_of(contrast, covariance)
        return Estimate(probe["weight"], probe)

    judge = accuracy if covariance == "ledoit_wolf" else None
    return Method("lda", needs_of(covariance), estimate, {"covariance": covariance}, judge=judge)


def lda(
    stats: Statistics,
    covariance: Kind = "shrinkage",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """The whitened difference of means Σ⁻¹ δ (Fisher's discriminant), at every point and position.

    The direction that tells the classes apart best where both have the covariance Σ: it reads off
    the class and turns away from what varies anyway, while `difference_of_means` is what to write.
    Under x → A x + b it becomes A⁻ᵀ w, so that what it says of a sample does not change. `more` has
    weight (Σ⁻¹ δ itself) and bias (log-odds = weight x + bias) and shrinkage.

    Args:
        stats: with "covariance" or "samples" ("variance" is enough for "diagonal").
        covariance: Σ within the classes:
            "shrinkage": (1 - s) Σ + s tr(Σ) / d I, s by oracle approximating shrinkage;
            "ledoit_wolf": the same with Ledoit and Wolf's s (needs "samples");
            "full": as it is; where it is singular, what no sample reached is left out;
            "diagonal": variances alone;
            a number: that share s.
        positive, negative: classes.

    Example:
        >>> stats = model.collect(splits.fit, what=("mean", "variance", "covariance"))
        >>> lw.directions.lda(stats, covariance=0.1).measure("separation")

    Raises:
        KeyError: no such class.
        ValueError: an unknown covariance; the statistics lack what is needed.

    Source: Fisher 1936; Chen, Wiesel, Eldar and Hero 2010, equation 23; Ledoit and Wolf 2004.
    """
    return estimated(stats, method(covariance), positive, negative)
