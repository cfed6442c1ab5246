"""The difference of two classes' means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenswright import _core
from lenswright.estimators.contrast import Contrast
from lenswright.estimators.found import Directions, Found
from lenswright.estimators.method import Estimate, Method

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def method() -> Method:
    """As any other estimator: what `null` needs."""

    def estimate(contrast: Contrast) -> Estimate:
        return Estimate(contrast.delta)

    return Method("difference_of_means", ("variance",), estimate)


def difference_of_means(
    stats: Statistics, positive: str = "positive", negative: str = "negative"
) -> Directions:
    """The difference of two classes' means at every point and position, in float64.

    Per (point, position), with n, mean and variance of each class:

    * raw = mean of positive - mean of negative, norm = |raw|, unit = raw / norm;
    * standard_error = sqrt(sum_j(var+_j / n+ + var-_j / n-)), the distance at which raw is expected
      to lie from the true difference; relative_error = standard_error / norm;
    * split_cosine: cosine of the differences that the two halves of the prompts give by themselves;
    * separation (d'): norm / sqrt((s+ + s-) / 2), where s = sum_j unit_j^2 var_j is the variance
      along the direction if coordinates do not correlate. It is made on the prompts that made the
      direction; `select` reports the exact one on prompts of its own.

    Example:
        >>> stats = model.collect(splits.fit)
        >>> lw.directions.difference_of_means(stats).vector("blocks.2.hook_resid_pre", -1)

    Args:
        stats: with variances (what=("mean", "variance")).
        positive, negative: classes; the direction points from the second to the first.

    Raises:
        KeyError: no such class.
        ValueError: statistics without variances.

    Source: Arditi et al. 2024 (arXiv 2406.11717), equation 2.
    """
    if "variance" not in stats.what:
        raise ValueError(
            f"stats keeps {list(stats.what)}, expected 'variance' among them (the standard error "
            "needs it): collect with what=('mean', 'variance')"
        )
    found = {}
    for point in stats.points:
        values = _core.difference_of_means(
            *stats.halves(positive, point), *stats.halves(negative, point)
        )
        for name in ("raw", "unit"):
            values[name] = values[name].reshape(len(stats.positions), *stats.shapes[point])
        found[point] = Found(**values)
    made = {"method": "difference_of_means", "settings": {}, "classes": [positive, negative]}
    return Directions(found, stats.positions, stats.offsets, stats.provenance | made)
