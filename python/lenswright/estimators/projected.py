"""Directions without what they share with a class's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright.estimators.found import Directions, Found

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def without(vector: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """What of a vector [d] is orthogonal to another; two passes: rounding leaves nothing."""
    length = other.norm()
    if not length > 0:
        return vector
    unit = other / length
    for _ in range(2):
        vector = vector - unit * (unit @ vector)
    return vector


def _mean(stats: Statistics, name: str, point: str, index: int) -> torch.Tensor:
    return stats.mean(name, point)[index].flatten()


def projected(found: Directions, stats: Statistics, against: str = "negative") -> Directions:
    """Every direction without its part along the mean of a class at the same place.

    r - (r · ĝ) ĝ with ĝ the normalised mean. Removing such a direction leaves what the class has
    most of, its mean, as it is. norm is that of what is left; the measures of the estimate
    (standard_error, split_cosine, separation) are those of the direction it comes from, and
    `more["kept"]` the share of its length that is left.

    Example:
        >>> lw.directions.projected(lw.directions.difference_of_means(stats), stats)

    Args:
        found: directions of any method.
        stats: with the same points and positions.
        against: the class whose mean is taken out.

    Raises:
        KeyError: no such class, or a point that stats lack.

    Source: projected abliteration; Gram and Schmidt.
    """
    made = {}
    for point, one in found.found.items():
        rows = [
            without(raw.flatten(), _mean(stats, against, point, stats.position_index(label)))
            for raw, label in zip(one.raw, found.positions, strict=True)
        ]
        made[point] = _again(one, torch.stack(rows))
    steps = [*found.provenance.get("projected", []), {"against": against}]
    return Directions(made, found.positions, found.offsets, found.provenance | {"projected": steps})


def biprojected(
    found: Directions,
    stats: Statistics,
    point: str,
    position: str | int,
    against: str = "negative",
) -> Directions:
    """One direction for every point, without its part along the class's mean here and there.

    The direction of one point loses its part along the mean of a class where it was measured, and
    then, at every other point, its part along the mean there: what an edit of that layer should not
    touch. Each point's row is the same direction seen so; measures are those of its source.

    Example:
        >>> found = lw.directions.difference_of_means(stats)
        >>> lw.directions.biprojected(found, stats, "blocks.2.hook_resid_pre", -1).per_layer(-1)

    Args:
        found: directions of any method, of points of one width.
        stats: with the same points and positions.
        point, position: where the direction was measured.
        against: the class whose mean is taken out.

    Raises:
        KeyError: no such class, point or position.
        ValueError: points of different widths.

    Source: biprojected abliteration; Gram and Schmidt.
    """
    source = found.only(point, position)
    (one,) = source.found.values()
    index = stats.position_index(position)
    measured = without(one.raw[0].flatten(), _mean(stats, against, point, index))
    made = {}
    for target in found.points:
        mean = _mean(stats, against, target, index)
        if mean.shape != measured.shape:
            raise ValueError(
                f"found has '{target}' of width {len(mean)}, expected {len(measured)} as '{point}'"
            )
        made[target] = _again(one, without(measured, mean)[None])
    steps = {"against": against, "measured": point}
    return Directions(
        made, source.positions, source.offsets, found.provenance | {"biprojected": steps}
    )


def _again(one: Found, raw: torch.Tensor) -> Found:
    norm = raw.norm(dim=1)
    unit = torch.where(norm[:, None] > 0, raw / norm.clamp_min(1e-300)[:, None], 0.0)
    kept = torch.where(one.norm > 0, norm / one.norm.clamp_min(1e-300), torch.nan)
    return Found(
        raw.reshape(one.raw.shape), unit.reshape(one.unit.shape), norm, one.standard_error,
        one.split_cosine, one.separation, {"kept": kept},
    )  # fmt: skip
