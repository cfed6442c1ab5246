"""Iterative null-space projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method(k: int, strength: float = 1.0) -> Method:
    """k rounds of a probe and a projection."""
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")

    def estimate(contrast: Contrast) -> Estimate:
        x, y = contrast.samples()
        if not contrast.delta.norm() > 0:
            basis, right = torch.zeros(0, x.shape[1]).double(), torch.zeros(0).double()
        else:
            basis, right = _core.inlp(x, y, k, strength)
        missing = k - len(basis)
        basis = torch.cat([basis, torch.zeros(missing, x.shape[1], dtype=torch.float64)])
        right = torch.cat([right, torch.full((missing,), torch.nan, dtype=torch.float64)])
        return Estimate(basis[0], {"basis": basis, "accuracy": right})

    return Method("inlp", ("samples",), estimate, {"k": k, "strength": strength})


def inlp(
    stats: Statistics,
    k: int,
    strength: float = 1.0,
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """k orthonormal directions, each the logistic probe of what the ones before left over.

    P ← P (I - w wᵀ), k times. `.subspace(point, position)` gives them in that order (rows of zeros
    where a probe found no direction any longer), `more["accuracy"]` [positions, k] how many samples
    each told right: at the share of the larger class nothing linear is left.

    Example:
        >>> lw.directions.inlp(stats, k=4).subspace("blocks.2.hook_resid_pre", -1)

    Args:
        stats: with "samples".
        k: rounds, 1 to d.
        strength: of the probes, see `logistic`.
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: k or strength out of range; statistics without samples.

    Source: Ravfogel et al. 2020 (arXiv 2004.07667), algorithm 1.
    """
    return estimated(stats, method(k, strength), positive, negative)
