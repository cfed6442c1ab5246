"""What a method finds where there is nothing to find: its directions under shuffled labels."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.estimators.contrast import Contrast, check_needs
from lenswright.estimators.found import Directions
from lenswright.estimators.method import Method, unit_of
from lenswright.estimators.registry import method_of
from lenswright.progress import Progress

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.plots import Figure

NULL_MEASURES = ("norm", "separation", "split_cosine")


@dataclass(frozen=True)
class PermutationNull:
    """A measure of directions beside what it is under shuffled labels.

    observed [points, positions]; values [points, positions, n]; float64.
    p: (1 + how many of the shuffled reach the observed) / (n + 1), never zero; z: standard
    deviations between the observed and the mean of the shuffled, NaN where they do not vary.
    """

    measure: str
    points: tuple[str, ...]
    positions: tuple[str, ...]
    observed: torch.Tensor
    values: torch.Tensor
    provenance: dict[str, Any]

    @property
    def p(self) -> torch.Tensor:
        """[points, positions]; see above."""
        reached = (self.values >= self.observed[..., None]).sum(-1)
        return (1 + reached).double() / (self.values.shape[-1] + 1)

    @property
    def z(self) -> torch.Tensor:
        """[points, positions]; see above."""
        spread = self.values.std(-1)
        away = (self.observed - self.values.mean(-1)) / spread
        return torch.where(spread > 0, away, math.nan)

    def table(self) -> list[dict[str, Any]]:
        """A row a direction: point, position, observed, mean and spread of the null, z and p."""
        mean, spread, z, p = self.values.mean(-1), self.values.std(-1), self.z, self.p
        return [
            {
                "point": point, "position": position, "observed": float(self.observed[i, j]),
                "mean": float(mean[i, j]), "spread": float(spread[i, j]), "z": float(z[i, j]),
                "p": float(p[i, j]),
            }
            for i, point in enumerate(self.points)
            for j, position in enumerate(self.positions)
        ]  # fmt: skip

    def plot(self) -> Figure:
        """A heat map of z: points down, positions across."""
        from lenswright.plots import heatmap

        return heatmap(
            self.z, rows=self.points, columns=self.positions, row_name="point",
            column_name="position", title=f"z of the {self.measure} against shuffled labels",
        )  # fmt: skip

    def __repr__(self) -> str:
        low = (self.p <= 0.05).sum()
        return (
            f"PermutationNull({self.measure} of {self.provenance['method']}, "
            f"{self.values.shape[-1]} shuffles: p <= 0.05 at {int(low)} of {self.p.numel()})"
        )

    def _repr_html_(self) -> str:
        return f"<b>{html.escape(repr(self))}</b>{self.plot()._repr_html_()}"


def null(
    stats: Statistics,
    found: Directions,
    n: int = 200,
    seed: int = 0,
    measure: str = "norm",
    progress: bool = True,
) -> PermutationNull:
    """A measure of directions against the same method on shuffled labels.

    The labels of the prompts are shuffled n times (all samples of a prompt keep one label; of pairs
    the sign of each difference), the method is applied again, and the measure taken again.

    Args:
        stats: what `found` was made from, with "samples".
        found: made by an estimator of `lenswright.directions`; `found.only(...)` shuffles for one.
        n: shuffles; the smallest p is 1 / (n + 1).
        seed: of the shuffles; a larger n contains the smaller one's.
        measure: "norm" (how far the class means lie apart along the direction), "separation" (d')
            or "split_cosine" (of two random halves).
        progress: show it where it takes longer than a second.

    Example:
        >>> null = lw.directions.null(stats, found.only("blocks.2.hook_resid_pre", -1), n=500)
        >>> null.p, null.table()

    Raises:
        ValueError: directions of another kind; no samples.
        KeyError: points or positions that stats do not have.

    Source: Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses; p after Phipson
    and Smyth 2010.
    """
    if measure not in NULL_MEASURES:
        raise ValueError(f"measure is {measure!r}, expected one of {list(NULL_MEASURES)}")
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1")
    method = method_of(found.provenance)
    check_needs(stats, ("samples", *method.needs))
    places = {label: stats.position_index(label) for label in found.positions}
    observed: list[float] = []
    values: list[float] = []
    total = len(found.points) * len(places) * (n + 1)
    with Progress("null", total, "estimates", progress) as bar:
        for point in found.points:
            for place in places.values():
                x, groups, labels = _labelled(stats, found, point, place)
                for index, one in enumerate([labels, *_shuffles(labels, method, n, seed)]):
                    value = _measured(method, measure, x, one[groups], groups)
                    (values if index else observed).append(value)
                    bar.step()
    shape = (len(found.points), len(places))
    settings = {"n": n, "seed": seed, "measure": measure}
    return PermutationNull(
        measure, found.points, found.positions,
        torch.tensor(observed, dtype=torch.float64).reshape(shape),
        torch.tensor(values, dtype=torch.float64).reshape(*shape, n),
        found.provenance | {"null": settings},
    )  # fmt: skip


def _labelled(
    stats: Statistics, found: Directions, point: str, position: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples [n, d], the prompt each belongs to [n], and the prompts' labels [prompts] bool.

    Of pairs a "prompt" is a pair with two samples, positive first.
    """
    from lenswright.estimators.contrast import contrasts

    plus, minus = found.provenance["classes"]
    if "pairs" in method_of(found.provenance).needs:
        part = contrasts(stats, point, plus, minus, ("samples", "pairs"))[position][0]
        assert part.differences is not None
        rows = part.differences
        return rows, torch.arange(len(rows)), torch.ones(len(rows), dtype=torch.bool)
    at = (point, stats.positions[position])
    values = [stats.samples(name, *at) for name in (plus, minus)]
    keys = [key for name in (plus, minus) for key in stats.sample_keys(name, *at)]
    names = list(dict.fromkeys(keys))
    number = {key: i for i, key in enumerate(names)}
    groups = torch.tensor([number[key] for key in keys])
    labels = torch.zeros(len(names), dtype=torch.bool)
    labels[groups[: len(values[0])]] = True
    return torch.cat(values), groups, labels


def _shuffles(labels: torch.Tensor, method: Method, n: int, seed: int) -> Sequence[torch.Tensor]:
    if "pairs" in method.needs:  # each difference keeps its sign or turns it, by a fair coin
        return list(_core.random_directions(n, len(labels), seed) > 0)
    return list(_core.label_permutations(len(labels), int(labels.sum()), n, seed))


def _contrast(method: Method, x: torch.Tensor, labels: torch.Tensor) -> Contrast:
    scatter = "covariance" in method.needs
    if "pairs" not in method.needs:
        return Contrast.of(x[labels], x[~labels], scatter)
    turned = torch.where(labels[:, None], x, -x)
    made = Contrast.of(turned / 2, -turned / 2, scatter)
    return Contrast(made.positive, made.negative, turned)


def _measured(
    method: Method, measure: str, x: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor
) -> float:
    if measure == "split_cosine":
        halves = [groups % 2 == half for half in range(2)]
        units = []
        for half in halves:
            contrast = _contrast(method, x[half], labels[half])
            units.append(unit_of(method.estimate(contrast), contrast))
        return float(units[0] @ units[1])
    contrast = _contrast(method, x, labels)
    unit = unit_of(method.estimate(contrast), contrast)
    if measure == "norm":
        return float((unit @ contrast.delta).abs())
    return float(contrast.separation(unit))
