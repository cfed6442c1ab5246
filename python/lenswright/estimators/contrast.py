"""Two classes at one point and position, as an estimator sees them: whole, and in halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


@dataclass(frozen=True)
class Side:
    """One class: n samples, mean [d], variance [d], scatter [d, d], samples [n, d]; float64.

    scatter is the sum of outer products of deviations; what was not kept is None.
    """

    n: int
    mean: torch.Tensor
    variance: torch.Tensor | None = None
    scatter: torch.Tensor | None = None
    samples: torch.Tensor | None = None

    @classmethod
    def of(cls, samples: torch.Tensor, scatter: bool = True) -> Side:
        """From samples [n, d]."""
        mean = samples.mean(0)
        centred = samples - mean
        variance = centred.square().sum(0) / (len(samples) - 1)
        made = centred.t() @ centred if scatter else None
        return cls(len(samples), mean, variance, made, samples)

    def spread(self, unit: torch.Tensor) -> torch.Tensor:
        """Variance along a unit vector; coordinates taken as uncorrelated where no more is kept."""
        if self.samples is not None:
            return (self.samples @ unit).var()
        if self.scatter is not None:
            return unit @ self.scatter @ unit / (self.n - 1)
        assert self.variance is not None
        return unit.square() @ self.variance


@dataclass(frozen=True)
class Contrast:
    """Two classes, and the differences [pairs, d] of those of their samples that form pairs."""

    positive: Side
    negative: Side
    differences: torch.Tensor | None = None

    @classmethod
    def of(cls, positive: torch.Tensor, negative: torch.Tensor, scatter: bool = True) -> Contrast:
        """From samples [n, d] of each class."""
        return cls(Side.of(positive, scatter), Side.of(negative, scatter))

    @property
    def delta(self) -> torch.Tensor:
        """Mean of positive - mean of negative [d]."""
        return self.positive.mean - self.negative.mean

    @property
    def least(self) -> int:
        """Samples of the smaller class; pairs where pairs are looked at."""
        sizes = (self.positive.n, self.negative.n)
        return min(sizes) if self.differences is None else min(*sizes, len(self.differences))

    def within(self) -> torch.Tensor:
        """Covariance within the classes [d, d], n - 2 in the denominator."""
        plus, minus = self.positive.scatter, self.negative.scatter
        assert plus is not None
        assert minus is not None
        return (plus + minus) / (self.positive.n + self.negative.n - 2)

    def total(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean [d] and covariance [d, d] of all samples together, n in the denominator."""
        plus, minus = self.positive, self.negative
        assert plus.scatter is not None
        assert minus.scatter is not None
        n = plus.n + minus.n
        mean = (plus.n * plus.mean + minus.n * minus.mean) / n
        between = torch.outer(self.delta, self.delta) * (plus.n * minus.n / n)
        return mean, (plus.scatter + minus.scatter + between) / n

    def separation(self, unit: torch.Tensor) -> torch.Tensor:
        """d' along a unit vector: |difference of means| / sqrt of the mean variance."""
        spread = (self.positive.spread(unit) + self.negative.spread(unit)) / 2
        return (self.delta @ unit).abs() / spread.sqrt()

    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All samples [n, d], and 1 where one is positive, 0 elsewhere [n]; float64."""
        plus, minus = self.positive.samples, self.negative.samples
        assert plus is not None
        assert minus is not None
        labels = torch.cat([torch.ones(len(plus)), torch.zeros(len(minus))]).double()
        return torch.cat([plus, minus]), labels


Parts = tuple[Contrast, Contrast, Contrast]  # all prompts, first half, second half


def contrasts(
    stats: Statistics, point: str, positive: str, negative: str, needs: Sequence[str]
) -> list[Parts]:
    """The contrasts of every position of a point.

    Args:
        needs: "variance", "covariance", "samples" or "pairs", as an estimator has it.

    Raises:
        KeyError: an unknown class.
        ValueError: the statistics do not keep what is needed.
    """
    check_needs(stats, needs)
    samples = "kept" in stats.parts
    scatter = "covariance" in stats.parts or ("covariance" in needs and samples)
    sides = [_sides(stats, name, point, scatter, samples) for name in (positive, negative)]
    result = []
    for position in range(len(stats.positions)):
        pairs: list[torch.Tensor | None] = [None] * 3
        if "pairs" in needs:
            every = _differences(stats, point, position, positive, negative)
            pairs = [every, every[::2], every[1::2]]
        made = [
            Contrast(plus[position], minus[position], difference)
            for plus, minus, difference in zip(*sides, pairs, strict=True)
        ]
        result.append((made[0], made[1], made[2]))
    return result


def check_needs(stats: Statistics, needs: Sequence[str]) -> None:
    """Raise ValueError where statistics lack what is needed."""
    has = set(stats.what)
    if "samples" in has:
        has |= {"covariance", "variance"}
    for need in needs:
        name = "samples" if need == "pairs" else need
        if name not in has:
            raise ValueError(
                f"stats keeps {list(stats.what)}, expected '{name}' among them: collect with "
                f"what=('mean', 'variance', '{name}')"
            )


def _sides(
    stats: Statistics, name: str, point: str, scatter: bool, samples: bool
) -> list[list[Side]]:
    """[all, first half, second half][position]."""
    moments = list(stats.halves(name, point))
    whole = type(moments[0]).from_state(moments[0].state())
    whole.merge(moments[1])
    scatters = _scatters(stats, name, point) if scatter and "covariance" in stats.parts else None
    kept = _kept(stats, name, point) if samples else None
    result = []
    for part, one in enumerate([whole, *moments]):
        count, mean = one.count.tolist(), one.mean
        variance = None if one.m2 is None else one.variance()
        row = []
        for position in range(len(stats.positions)):
            x = None if kept is None else kept[part][position]
            if scatters is not None:
                s: torch.Tensor | None = scatters[part][position]
            else:
                s = Side.of(x).scatter if scatter and x is not None and len(x) else None
            v = None if variance is None else variance[position]
            if v is None and x is not None and len(x):
                v = Side.of(x).variance
            row.append(Side(count[position], mean[position], v, s, x))
        result.append(row)
    return result


def _scatters(stats: Statistics, name: str, point: str) -> list[torch.Tensor]:
    first, second = stats._halves("covariance", name, point)
    whole = type(first).from_state(first.state())
    whole.merge(second)
    return [whole.comoment, first.comoment, second.comoment]


def _kept(stats: Statistics, name: str, point: str) -> list[list[torch.Tensor]]:
    positions = range(len(stats.positions))
    halves = [
        [half.values[half.cells == position] for position in positions]
        for half in stats._halves("kept", name, point)
    ]
    return [[torch.cat(both) for both in zip(*halves, strict=True)], *halves]


def _differences(
    stats: Statistics, point: str, position: int, positive: str, negative: str
) -> torch.Tensor:
    """Positive minus negative of every pair [pairs, d], ordered by the pairs' names."""
    pairs = stats.provenance["fit"].get("pairs")
    if pairs is None:
        raise ValueError(
            "stats come from prompts without pairs, expected an equal 'pair' in the rows of both "
            "classes (Splits.from_pairs)"
        )
    sides = []
    for name in (positive, negative):
        label = stats.positions[position]
        values = stats.samples(name, point, label)
        keys = [pairs.get(key) for key in stats.sample_keys(name, point, label)]
        table = dict(zip(keys, values, strict=True))
        if None in table or len(table) < len(keys):
            raise ValueError(
                f"stats: {name} has {len(keys)} samples of {len(table)} pairs at position "
                f"'{stats.positions[position]}', expected one of each"
            )
        sides.append(table)
    lone = sorted(set(map(str, sides[0])) ^ set(map(str, sides[1])))
    if lone:
        raise ValueError(
            f"stats: pairs {lone[:5]} have one class only ({len(lone)} in all), expected both"
        )
    return torch.stack([sides[0][pair] - sides[1][pair] for pair in sorted(sides[0], key=str)])
