"""What several pictures share: axes, labels that keep out of each other's way, swarms of points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lenswright.plots.canvas import Canvas
from lenswright.plots.colour import LINE, SOFT
from lenswright.plots.values import tick_texts, ticks


@dataclass(frozen=True)
class Axis:
    """A horizontal scale from values to pixels."""

    low: float
    high: float
    left: float
    right: float
    log: bool = False
    unit: str = ""

    def at(self, value: float) -> float:
        """The pixel of a value; values outside are held at the edge."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        where = (value - low) / (high - low) if high > low else 0.5
        return self.left + min(1.0, max(0.0, where)) * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Round values to mark: as many as fit."""
        room = max(2, int((self.right - self.left) / 90))
        if not self.log:
            if self.unit == "rate" and (self.low, self.high) == (0.0, 1.0):
                return [0.0, 0.5, 1.0] if room < 5 else [0.0, 0.25, 0.5, 0.75, 1.0]
            return ticks(self.low, self.high, room)
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        every = max(1, math.ceil((last - first + 1) / room))
        return [10.0**i for i in range(first, last + 1, every)]

    def draw(self, canvas: Canvas, bottom: float, lanes: Sequence[tuple[float, float]]) -> None:
        """The values below `bottom`, and faint grid lines through each lane (top, bottom)."""
        values = self.ticks()
        texts = (
            [f"{v:g}".replace("e-0", "e\u2212") for v in values]
            if self.log
            else tick_texts(values, self.unit)
        )
        for value, text in zip(values, texts, strict=True):
            x = self.at(value)
            for top, end in lanes:
                canvas.line(x, top, x, end, LINE)
            canvas.text(x, bottom + 15, text, fill=SOFT, size=11, anchor="middle")


def axis_over(
    values: Sequence[float], left: float, right: float, unit: str = "", zero: bool = True
) -> Axis:
    """The axis that holds the values: 0 to 100 % for rates, by ratios where they span more than two
    powers of ten.

    `zero` keeps 0 on a linear axis.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    if unit == "rate" and low >= 0 and high <= 1:
        return Axis(0.0, 1.0, left, right, unit=unit)
    if low > 0 and high / low > 100:
        return Axis(
            10 ** math.floor(math.log10(low)),
            10 ** math.ceil(math.log10(high)),
            left,
            right,
            True,
            unit,
        )
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return Axis(
        low if low == 0 else low - room, high if high == 0 else high + room, left, right, unit=unit
    )


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in the same order, at least `apart` from each other and within
    [low, high].
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    places = [min(high, max(low, wanted[i])) for i in order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + apart)
    if places and places[-1] > high:
        places[-1] = high
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - apart)
    result = [0.0] * len(wanted)
    for place, i in zip(places, order, strict=True):
        result[i] = place
    return result


def swarm(xs: Sequence[float], radius: float, reach: float) -> list[float]:
    """A vertical offset for each point so that neighbours show side by side; at most `reach` up or
    down.
    """
    offsets: list[float] = [0.0] * len(xs)
    placed: list[tuple[float, float]] = []
    steps = [0.0]
    for i in range(1, int(reach / (radius * 0.9)) + 1):
        steps += (i * radius * 0.9, -i * radius * 0.9)
    free: Callable[[float, float], bool] = lambda x, y: all(  # noqa: E731
        (x - px) ** 2 + (y - py) ** 2 >= (1.8 * radius) ** 2 for px, py in placed
    )
    for i in sorted(range(len(xs)), key=lambda i: (xs[i], i)):
        y = next((step for step in steps if free(xs[i], step)), 0.0)
        placed.append((xs[i], y))
        offsets[i] = y
    return offsets
