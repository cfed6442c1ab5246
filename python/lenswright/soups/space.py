"""A recipe with numbers left open: `{search: [low, high]}` in the place of a number."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lenswright.nearest import did_you_mean

KEYS = ("search", "start", "scale")
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Open:
    """A number that is searched: where it stands, and between what."""

    place: Place
    low: float
    high: float
    start: float
    log: bool

    @property
    def name(self) -> str:
        """Its place in the recipe, as messages and traces have it."""
        return ".".join(map(str, self.place))

    def to_unit(self, value: float) -> float:
        """A value's place in [0, 1]."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, place: float) -> float:
        """The value at a place in [0, 1], within the ends."""
        if self.log:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + place * (self.high - self.low)
        return min(max(value, self.low), self.high)


class Space:
    """A recipe and its open numbers.

    Args:
        recipe: as `merge` takes it, with {search: [low, high]} where numbers are open; beside
            `search` may stand `start` (default: the middle) and `scale: log` (both ends above 0).

    Raises:
        ValueError: no number is open; ends that are none.
    """

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self.recipe = recipe
        self.open: list[Open] = []
        self._walk(recipe, ())
        if not self.open:
            raise ValueError("recipe has nothing to search, expected {search: [low, high]} in it")

    def _walk(self, value: Any, place: Place) -> None:
        if isinstance(value, Mapping):
            if "search" in value:
                self.open.append(_open(value, place))
                return
            for key, one in value.items():
                self._walk(one, (*place, key))
        elif isinstance(value, list | tuple):
            for index, one in enumerate(value):
                self._walk(one, (*place, index))

    def at(self, numbers: Sequence[float]) -> dict[str, Any]:
        """The recipe with numbers in the open places."""
        filled: Any = copy.deepcopy(dict(self.recipe))
        for one, number in zip(self.open, numbers, strict=True):
            at = filled
            for part in one.place[:-1]:
                at = at[part]
            at[one.place[-1]] = float(number)
        return dict(filled)


def _open(value: Mapping[str, Any], place: Place) -> Open:
    name = ".".join(map(str, place))
    for key in value:
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise ValueError(f"{name}: unknown key '{key}', expected search, start, scale{hint}")
    ends = value["search"]
    right = isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends))
    if not right or not ends[0] < ends[1]:
        raise ValueError(f"{name}: search is {ends!r}, expected [low, high] with low < high")
    scale = value.get("scale", "linear")
    if scale not in ("linear", "log") or (scale == "log" and ends[0] <= 0):
        raise ValueError(f"{name}: scale is {scale!r}, expected linear, or log with low above 0")
    low, high, log = float(ends[0]), float(ends[1]), scale == "log"
    start = value.get("start", math.sqrt(low * high) if log else (low + high) / 2)
    if not _is_number(start) or not low <= start <= high:
        raise ValueError(f"{name}: start is {start!r}, expected a number from {low:g} to {high:g}")
    return Open(place, low, high, float(start), log)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
