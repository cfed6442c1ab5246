"""Logistic probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Estimate, Method, accuracy, estimated

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method(strength: float = 1.0) -> Method:
    """A logistic probe of a strength."""
    if not strength > 0:
        raise ValueError(f"strength is {strength}, expected a number above 0")

    def estimate(contrast: Contrast) -> Estimate:
        x, y = contrast.samples()
        weight, bias, converged = _core.logistic_probe(x, y, strength)
        if not converged:
            raise ValueError(
                f"strength is {strength}: Newton's method did not converge; expected a smaller one"
            )
        made = {"weight": weight, "bias": torch.tensor(bias, dtype=torch.float64)}
        return Estimate(weight, made)

    return Method("logistic", ("samples",), estimate, {"strength": strength}, judge=accuracy)


def logistic(
    stats: Statistics,
    strength: float = 1.0,
    positive: str = "positive",
    negative: str = "negative",
) -> Directions:
    """The weight of a logistic probe that tells the classes apart, at every point and position.

    argmin |w|² / 2 + strength * sum_i log(1 + exp(-y_i (w x_i + b))), y_i = ±1, by Newton's method
    in the span of the samples. `more` has weight, bias (log-odds = weight x + bias) and held_out,
    the balanced accuracy of each half's probe on the other half.

    Example:
        >>> stats = model.collect(splits.fit, what=("mean", "variance", "samples"))
        >>> lw.directions.logistic(stats).found["blocks.2.hook_resid_pre"].more["held_out"]

    Args:
        stats: with "samples".
        strength: of the data against the ridge, above 0 (C of scikit-learn).
        positive, negative: classes.

    Raises:
        KeyError: no such class.
        ValueError: strength not above 0; statistics without samples.

    Source: Alain and Bengio 2016 (arXiv 1610.01644) for probes; Hastie, Tibshirani and Friedman,
    Elements of Statistical Learning, equation 4.23, for the Newton step.
    """
    return estimated(stats, method(strength), positive, negative)
