"""What estimators have in common: a method, applied to every point and position."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lenswright.estimators.contrast import Contrast, Parts, contrasts
from lenswright.estimators.found import Directions, Found

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


@dataclass(frozen=True)
class Estimate:
    """What a method finds in a contrast: a vector [d] of any length, and what else there is."""

    vector: torch.Tensor
    more: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """An estimator: its name and settings, what it needs kept, and the function of a contrast.

    least: samples a class that it needs. judge: a score of an estimate on a contrast it was not
    made from; the mean of both halves' is `held_out` in what is found.
    """

    name: str
    needs: tuple[str, ...]
    estimate: Callable[[Contrast], Estimate]
    settings: Mapping[str, Any] = field(default_factory=dict)
    least: int = 2
    judge: Callable[[Estimate, Contrast], float] | None = None


def unit_of(estimate: Estimate, contrast: Contrast) -> torch.Tensor:
    """The estimate's vector at length 1; zeros where the classes do not differ at all."""
    length = estimate.vector.norm()
    if not length > 0 or not contrast.delta.norm() > 0:
        return torch.zeros_like(estimate.vector)
    return estimate.vector / length


def estimated(stats: Statistics, method: Method, positive: str, negative: str) -> Directions:
    """Directions by a method at every point and position.

    raw is the part of the difference of means along unit, norm its length; standard_error is half
    the distance between the raw directions of the two halves (the jackknife that leaves out a
    half), split_cosine the cosine of theirs; separation is d' along unit on the prompts that made
    it, with the covariances where they are kept.

    Raises:
        KeyError: no such class.
        ValueError: the statistics do not keep what the method needs; too few samples.
    """
    found = {}
    for point in stats.points:
        shape = stats.shapes[point]
        parts = contrasts(stats, point, positive, negative, method.needs)
        rows = [_row(method, part, f"'{point}' at '{label}'")
                for part, label in zip(parts, stats.positions, strict=True)]  # fmt: skip
        columns = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        for name in ("raw", "unit"):
            columns[name] = columns[name].reshape(len(rows), *shape)
        found[point] = Found.of(columns)
    made = {
        "method": method.name, "settings": dict(method.settings), "classes": [positive, negative],
    }  # fmt: skip
    return Directions(found, stats.positions, stats.offsets, stats.provenance | made)


def _row(method: Method, parts: Parts, where: str) -> dict[str, torch.Tensor]:
    whole, *halves = parts
    if whole.least < method.least:
        raise ValueError(
            f"stats has {whole.least} samples of a class ('pairs' where they are compared) for "
            f"{where}, expected at least {method.least} for {method.name}"
        )
    estimate = method.estimate(whole)
    unit = unit_of(estimate, whole)
    raw = unit * (unit @ whole.delta)
    row = {"raw": raw, "unit": unit, "norm": raw.norm(), "separation": whole.separation(unit)}
    row |= _between(method, halves, whole)
    return row | {f"more.{name}": value for name, value in estimate.more.items()}


def _between(
    method: Method, halves: Sequence[Contrast], whole: Contrast
) -> dict[str, torch.Tensor]:
    """What the two halves say of each other."""
    nothing = torch.tensor(math.nan, dtype=torch.float64)
    row = {"standard_error": nothing, "split_cosine": nothing}
    if method.judge is not None:
        row["more.held_out"] = nothing
    if any(half.least < method.least for half in halves) or not whole.delta.norm() > 0:
        return row
    estimates = [method.estimate(half) for half in halves]
    units = [unit_of(e, half) for e, half in zip(estimates, halves, strict=True)]
    raws = [unit * (unit @ half.delta) for unit, half in zip(units, halves, strict=True)]
    row["standard_error"] = (raws[0] - raws[1]).norm() / 2
    if all(unit.any() for unit in units):
        row["split_cosine"] = units[0] @ units[1]
    if method.judge is not None:
        scores = [method.judge(estimates[i], halves[1 - i]) for i in range(2)]
        row["more.held_out"] = torch.tensor(sum(scores) / 2, dtype=torch.float64)
    return row


def accuracy(estimate: Estimate, contrast: Contrast) -> float:
    """Balanced share of samples that weight x + bias > 0 tells right."""
    weight, bias = estimate.more["weight"], estimate.more["bias"]
    plus, minus = contrast.positive.samples, contrast.negative.samples
    assert plus is not None
    assert minus is not None
    right = (
        (plus @ weight + bias > 0).double().mean(),
        (minus @ weight + bias <= 0).double().mean(),
    )
    return float(sum(right)) / 2
