"""Principal directions of two classes together, never centred on the mean of differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics

CENTRES = ("midpoint", "none", "pairs")


def second_moment(contrast: Contrast, centre: torch.Tensor) -> torch.Tensor:
    """Mean outer product of samples about a centre [d, d]; the classes weigh the same."""
    halves = []
    for side in (contrast.positive, contrast.negative):
        assert side.scatter is not None
        away = side.mean - centre
        halves.append(side.scatter / side.n + torch.outer(away, away))
    return (halves[0] + halves[1]) / 2


def method(k: int = 1, centre: str = "midpoint") -> Method:
    """The k leading directions about a centre."""
    if centre not in CENTRES:
        raise ValueError(f"centre is {centre!r}, expected one of {list(CENTRES)}")
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")

    def estimate(contrast: Contrast) -> Estimate:
        if centre == "pairs":
            assert contrast.differences is not None
            rows = contrast.differences
            basis, values = _core.pca_of_rows(rows, k, rows.mean(0))
        else:
            middle = (contrast.positive.mean + contrast.negative.mean) / 2
            origin = middle if centre == "midpoint" else torch.zeros_like(middle)
            moment = second_moment(contrast, origin)
            basis, values = _core.pca(moment, k, contrast.delta)
        return Estimate(basis[0], {"basis": basis, "values": values})

    pairs = centre == "pairs"
    needs = ("variance", "samples", "pairs") if pairs else ("covariance",)
    return Method("pca", needs, estimate, {"k": k, "centre": centre}, max(2, k if pairs else 2))


def pca(
    stats: Statistics,
    k: int = 1,
    centre: Literal["midpoint", "none", "pairs"] = "midpoint",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """The directions of greatest second moment, at every point and position.

    Eigenvectors of E[(x - c)(x - c)ᵀ], both classes weighing the same. Centring on the mean of the
    *differences* would subtract the very difference one looks for, so c is:

    * "midpoint": (mean+ + mean-) / 2; the difference of means then enters as δδᵀ / 4;
    * "none": the origin;
    * "pairs": each pair's own midpoint, i.e. the differences of pairs, not centred.

    The sign is the data's: the positive class lies on the positive side; a direction that tells the
    classes not apart has its largest component positive. `subspace(point, position)` gives all k,
    `found[point].more["values"]` the second moments along them.

    Example:
        >>> stats = model.collect(splits.fit, what=("mean", "variance", "covariance"))
        >>> lw.directions.pca(stats, k=2).subspace("blocks.2.hook_resid_pre", -1)

    Args:
        stats: with "covariance" or "samples"; "pairs" needs samples of paired prompts.
        k: directions.
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: k or centre out of range; the statistics lack what is needed.

    Source: Zou et al. 2023 (arXiv 2310.01405), section 3.1, with the centres told apart.
    """
    return estimated(stats, method(k, centre), positive, negative)
