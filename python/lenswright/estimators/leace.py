"""Least-squares concept erasure: projections after which no linear probe finds a concept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions, Erasure
from lenswright.estimators.lda import Kind, check_kind, needs_of, share_of
from lenswright.estimators.method import Estimate, Method, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def _covariance(contrast: Contrast, kind: Kind) -> tuple[torch.Tensor, torch.Tensor, float]:
    mean, total = contrast.total()
    if kind == "diagonal":
        return mean, torch.diag(total.diagonal()), 0.0
    share = share_of(contrast, kind, total, contrast.positive.n + contrast.negative.n)
    return mean, _core.shrunk(total, share), share


def _more(read: torch.Tensor, write: torch.Tensor, mean: torch.Tensor, share: float) -> Estimate:
    if len(read) == 0:  # the classes do not differ: nothing is erased
        read = write = torch.zeros(1, len(mean), dtype=torch.float64)
    more = {
        "read": read, "write": write, "centre": mean,
        "shrinkage": torch.tensor(share, dtype=torch.float64),
    }  # fmt: skip
    return Estimate(write[0], more)


def method(covariance: Kind = "full", binary: bool = False) -> Method:
    """LEACE of the class, through the whitened cross-covariance or in closed form."""
    check_kind(covariance)

    def estimate(contrast: Contrast) -> Estimate:
        mean, total, share = _covariance(contrast, covariance)
        if binary:
            return _more(*_core.binary_leace(total, contrast.delta), mean, share)
        plus, minus = contrast.positive.n, contrast.negative.n
        cross = contrast.delta * (plus * minus / (plus + minus) ** 2)
        read, write = _core.leace(total, cross[:, None])
        sign = -1.0 if len(write) and write[0] @ contrast.delta < 0 else 1.0
        return _more(sign * read, sign * write, mean, share)

    name = "binary_leace" if binary else "leace"
    needs = ("covariance",) if covariance == "diagonal" else needs_of(covariance)
    return Method(name, needs, estimate, {"covariance": covariance})


def leace(
    stats: Statistics,
    covariance: Kind = "full",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """The least change after which no linear probe tells the classes apart, at every point.

    x' = x - W⁺ U Uᵀ W (x - mean), W = Σ^(-1/2) of all samples, U the left singular vectors of
    W Σ_xz. Exact on the prompts it was made from: the cross-covariance with the class is zero, and
    of all affine maps with that property it changes x least, in every norm.
    `.erasure(point, position)` gives read = Uᵀ W, write = (W⁺ U)ᵀ and centre, for an edit
    W' = (I - writeᵀ read) W; unit is the normalised write direction.

    Args:
        stats: with "covariance" or "samples".
        covariance: Σ of all samples: "full" (what no sample reached stays as it is), "shrinkage",
            "ledoit_wolf", "diagonal" or a share (see `lda`). The concept is erased for any of them;
            the change is least for "full", and steadier on other prompts with shrinkage.
        positive, negative: classes.

    Example:
        >>> stats = model.collect(splits.fit, what=("mean", "variance", "covariance"))
        >>> erase = lw.directions.leace(stats).erasure("blocks.2.hook_resid_pre", -1)
        >>> erase.read, erase.write, erase.centre

    Raises:
        KeyError: no such class.
        ValueError: an unknown covariance; the statistics lack what is needed.

    Source: Belrose et al. 2023 (arXiv 2306.03819), theorem 4.3.
    """
    return estimated(stats, method(covariance), positive, negative)


def binary_leace(
    stats: Statistics,
    covariance: Kind = "full",
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """LEACE of two classes in closed form: write δ, read Σ⁻¹ δ / (δᵀ Σ⁻¹ δ).

    The same projection as `leace` where Σ has full rank, in one solve instead of a whitening:
    x' = x - δ (δᵀ Σ⁻¹ (x - mean)) / (δᵀ Σ⁻¹ δ). Arguments, results and errors are those of `leace`.

    Example:
        >>> lw.directions.binary_leace(stats, "shrinkage").erasure("blocks.2.hook_resid_pre", -1)

    Source: Belrose et al. 2023 (arXiv 2306.03819), equation 3 for a binary concept.
    """
    return estimated(stats, method(covariance, binary=True), positive, negative)


def erasure_of(x: torch.Tensor, z: torch.Tensor) -> Erasure:
    """LEACE of any concept: samples x [n, d], what is to be forgotten z [n, m] (one-hot classes).

    Example:
        >>> x = stats.samples("positive", "blocks.2.hook_resid_pre", -1)
        >>> classes = torch.arange(len(x)) % 3
        >>> erase = lw.directions.erasure_of(x, torch.nn.functional.one_hot(classes))
        >>> erase(x)

    Raises:
        ValueError: shapes that do not fit, or fewer than two samples.
    """
    if x.dim() != 2 or z.dim() != 2 or len(x) != len(z) or len(x) < 2:
        raise ValueError(
            f"x is {list(x.shape)}, z {list(z.shape)}, expected [n, d] and [n, m] of at least two"
        )
    wide, concept = x.double(), z.double()
    centre = wide.mean(0)
    centred = wide - centre
    covariance = centred.t() @ centred / len(wide)
    cross = centred.t() @ (concept - concept.mean(0)) / len(wide)
    return Erasure(*_core.leace(covariance, cross), centre)
