"""A number that changes over generated tokens or over layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Schedule:
    """A piecewise-linear function of a whole number, constant before its first and behind its last.

    {0: 1.0, 10: 0.0} is 1 up to 0, 0.5 at 5 and 0 from 10 on; {3: 2.0} is 2 everywhere.
    """

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, given: Mapping[int, float], name: str) -> Schedule:
        """The schedule through {place: value}.

        Raises:
            ValueError: there are none, a place is no whole number from 0, a value is not finite.
            TypeError: it is no mapping.
        """
        if not isinstance(given, Mapping):
            raise TypeError(f"{name} is {type(given).__name__}, expected {{place: factor}}")
        if not given:
            raise ValueError(f"{name} is empty, expected {{place: factor}}")
        for place, value in given.items():
            whole = isinstance(place, int) and not isinstance(place, bool)
            if not whole or place < 0 or not math.isfinite(value):
                raise ValueError(
                    f"{name} has {place!r}: {value!r}, expected whole numbers from 0 with finite "
                    "factors"
                )
        return cls(tuple((place, float(given[place])) for place in sorted(given)))

    def at(self, places: torch.Tensor) -> torch.Tensor:
        """The values at places of any shape, float64."""
        where = places.to(torch.float64)
        value = torch.full_like(where, self.knots[0][1])
        for (a, low), (b, high) in zip(self.knots, self.knots[1:], strict=False):
            value = value + (high - low) * ((where - a) / (b - a)).clamp(0, 1)
        return value

    def __call__(self, place: int) -> float:
        return float(self.at(torch.tensor(place)))

    def __str__(self) -> str:
        return ", ".join(f"{place}: {value:g}" for place, value in self.knots)
