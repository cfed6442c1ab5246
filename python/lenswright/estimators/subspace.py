"""Subspaces of several directions by singular values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics

SOURCES = ("classes", "pairs")


def method(k: int, of: str = "classes") -> Method:
    """The k leading right singular vectors of differences."""
    if of not in SOURCES:
        raise ValueError(f"of is {of!r}, expected one of {list(SOURCES)}")
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")

    def estimate(contrast: Contrast) -> Estimate:
        if of == "pairs":
            assert contrast.differences is not None
            basis, values = _core.pca_of_rows(contrast.differences, k, contrast.delta)
        else:
            plus = contrast.positive
            assert plus.scatter is not None
            moment = plus.scatter / plus.n + torch.outer(contrast.delta, contrast.delta)
            basis, values = _core.pca(moment, k, contrast.delta)
        return Estimate(basis[0], {"basis": basis, "values": values})

    pairs = of == "pairs"
    needs = ("variance", "samples", "pairs") if pairs else ("covariance",)
    return Method("subspace", needs, estimate, {"k": k, "of": of}, max(2, k if pairs else 2))


def subspace(
    stats: Statistics,
    k: int,
    of: Literal["classes", "pairs"] = "classes",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """The k orthonormal directions that hold most of what tells the classes apart.

    The leading right singular vectors, not centred, of

    * "classes": every positive sample minus the mean of the negative ones;
    * "pairs": the differences of pairs.

    The first has the sign of the difference of means. `.subspace(point, position)` gives R [k, d],
    for an edit W' = (I - Rᵀ R) W or its ridge; `more["values"]` the mean squares along them.

    Example:
        >>> lw.directions.subspace(stats, k=3).subspace("blocks.2.hook_resid_pre", -1)

    Args:
        stats: with "covariance" or "samples"; "pairs" needs samples of paired prompts.
        k: directions, at most d and the number of pairs.
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: k or of out of range; the statistics lack what is needed.

    Source: singular vectors of paired differences: arXiv 2512.18901 (Gabliteration), section 3.
    """
    return estimated(stats, method(k, of), positive, negative)
