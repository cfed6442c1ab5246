"""What may be kept of activations: names, the accumulators behind them, their files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lenswright import _core
from lenswright.nearest import did_you_mean

# kind -> point -> what is kept there
Parts = dict[str, dict[str, Any]]

# what is asked for -> the accumulator that keeps it
WHAT = {
    "mean": "moments", "variance": "moments", "covariance": "covariance", "norms": "norms",
    "extremes": "extremes", "quantiles": "quantiles", "histogram": "histogram", "samples": "kept",
}  # fmt: skip
CLASSES_OF: dict[str, Any] = {
    "moments": _core.Moments, "covariance": _core.Covariance, "norms": _core.Norms,
    "extremes": _core.Extremes, "quantiles": _core.Quantiles, "histogram": _core.Histogram,
    "kept": _core.Kept,
}  # fmt: skip
PER_DECADE, DECADES = 4, (-4, 4)


def default_edges() -> tuple[float, ...]:
    """Edges of bins: four a decade of magnitude from 1e-4 to 1e4, on both sides of zero."""
    low, high = (PER_DECADE * decade for decade in DECADES)
    positive = [10.0 ** (step / PER_DECADE) for step in range(low, high + 1)]
    return tuple([-x for x in reversed(positive)] + positive)


@dataclass(frozen=True)
class Kind:
    """How what is kept is kept: extremes a coordinate, the quantiles' error, the bins' edges."""

    examples: int = 3
    error: float = 0.01
    edges: tuple[float, ...] = field(default_factory=default_edges)
    winsorise: float = 1.0

    def new(self, kind: str, cells: int, width: int, squares: bool) -> Any:
        """An empty accumulator.

        Raises:
            ValueError: a setting is out of range.
        """
        if kind == "moments":
            return _core.Moments(cells, width, squares)
        if kind == "extremes":
            return _core.Extremes(cells, width, self.examples)
        if kind == "norms":
            return _core.Norms(cells, self.examples, self.error)
        if kind == "quantiles":
            return _core.Quantiles(cells, width, self.error)
        if kind == "histogram":
            return _core.Histogram(cells, torch.tensor(self.edges, dtype=torch.float64))
        return CLASSES_OF[kind](cells, width)


def checked_what(what: str | Sequence[str]) -> tuple[str, ...]:
    """The names asked for.

    Raises:
        ValueError: an unknown one, or no "mean".
    """
    chosen = (what,) if isinstance(what, str) else tuple(what)
    for name in chosen:
        if name not in WHAT:
            hint = did_you_mean(name, WHAT)
            raise ValueError(f"what has {name!r}, expected some of {list(WHAT)}{hint}")
    if "mean" not in chosen:
        raise ValueError(f"what is {list(chosen)}, expected 'mean' among them")
    return chosen


def new_parts(
    shapes: Mapping[str, tuple[int, ...]], cells: int, what: Sequence[str], how: Kind
) -> Parts:
    """Empty accumulators of everything asked for at every point.

    Raises:
        ValueError: covariances need more memory than there is.
    """
    kinds = dict.fromkeys(WHAT[name] for name in what)
    if "covariance" in kinds:
        _check_room(sum(8 * cells * torch.Size(shape).numel() ** 2 for shape in shapes.values()))
    return {
        kind: {
            point: how.new(kind, cells, torch.Size(shape).numel(), "variance" in what)
            for point, shape in shapes.items()
        }
        for kind in kinds
    }


def _check_room(needed: int) -> None:
    # Zeros cost nothing until they are written to: it would run for an hour and then be killed.
    free = free_memory()
    if needed > free:
        raise ValueError(
            f"what has 'covariance', which needs {needed / 1e9:.1f} GB for these points and "
            f"positions, but {free / 1e9:.1f} GB are free; expected fewer points or positions"
        )


def free_memory() -> int:
    """Bytes that may still be used: what the system says is available, else all there is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def states_of(parts: Parts) -> dict[str, torch.Tensor]:
    """Every tensor that the accumulators would be made again from, by "point/kind/name"."""
    return {
        f"{point}/{kind}/{name}": value
        for kind, points in parts.items()
        for point, part in points.items()
        for name, value in part.state().items()
    }


def parts_of(
    tensors: Mapping[str, torch.Tensor], kinds: Sequence[str], points: Sequence[str]
) -> Parts:
    """The accumulators that `states_of` was asked for."""
    parts: Parts = {kind: {} for kind in kinds}
    for kind in kinds:
        for point in points:
            start = f"{point}/{kind}/"
            state = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
            parts[kind][point] = CLASSES_OF[kind].from_state(state)
    return parts


def merged_parts(mine: Parts, theirs: Parts) -> Parts:
    """Both together; neither changes."""
    merged: Parts = {}
    for kind, points in mine.items():
        merged[kind] = {}
        for point, part in points.items():
            both = CLASSES_OF[kind].from_state(part.state())
            both.merge(theirs[kind][point])
            merged[kind][point] = both
    return merged
