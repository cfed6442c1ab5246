"""What one heat map says: its values, its colours, and the bar that explains them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lenswright.plots.canvas import Canvas, text_width
from lenswright.plots.colour import FAINT, LEVELS, Paint, ramp
from lenswright.plots.values import Matrix, fixed, plain, short, show

BAR = 72.0
"""Width of the colour bar, pixels."""


@dataclass(frozen=True)
class Panel:
    """One heat map: what is drawn and how it is coloured.

    values: matrix [rows, columns], missing entries None or not finite. title, unit: written above
    it.
    scale: "blue", "violet" (low to high) or "diverging" (blue below `center`, orange above).
    low, high: the values at the ends of the scale; by default the least and greatest present.
    ends: a word for each end of the scale. log: equal ratios are equal steps of colour.
    hatched: matrix of texts, why a cell is out ("" or None where it is in). marked: (row, column)
    to outline.
    texts: what is written in the cells instead of the numbers. tips: what a cell's tooltip adds.
    """

    values: Any
    title: str = ""
    unit: str = ""
    scale: str = "blue"
    center: float = 0.0
    low: float | None = None
    high: float | None = None
    ends: tuple[str, str] = ("", "")
    log: bool = False
    hatched: Sequence[Sequence[str | None]] | None = None
    marked: tuple[int, int] | None = None
    texts: Sequence[Sequence[str]] | None = None
    tips: Sequence[Sequence[str]] | None = None


def cell_texts(panel: Panel, values: Matrix) -> list[list[str]]:
    """What may be written in the cells."""
    if panel.texts is not None:
        return [[str(text) for text in row] for row in plain(panel.texts)]
    return [[short(v) for v in row] for row in values] if panel.log else fixed(values)


def scaled(panel: Panel, values: Matrix) -> tuple[float, float, Callable[[float], Paint]]:
    """The ends of the scale and the paint of a value."""
    paints = ramp(panel.scale)
    present = [v for row in values for v in row if v is not None]
    low = panel.low if panel.low is not None else min(present, default=0.0)
    high = panel.high if panel.high is not None else max(present, default=1.0)
    if panel.scale == "diverging":
        reach = max(abs(low - panel.center), abs(high - panel.center)) or 1.0
        low, high = panel.center - reach, panel.center + reach
    if panel.log:
        low = panel.low or min((v for v in present if v > 0), default=1e-12)
        high = max(high, low)

    def paint(value: float) -> Paint:
        a, b, v = (
            (math.log(max(t, low)) for t in (low, high, value)) if panel.log else (low, high, value)
        )
        where = (v - a) / (b - a) if b > a else 0.5
        return paints[round(min(1.0, max(0.0, where)) * (LEVELS - 1))]

    return low, high, paint


def legend_words(panel: Panel, values: Matrix) -> tuple[str, str]:
    """What stands at the two ends of the colour bar."""
    low, high, _ = scaled(panel, values)
    first = f"{panel.ends[0]} {show(low, panel.unit)}".strip()
    return first, f"{show(high, panel.unit)} {panel.ends[1]}".rstrip()


def unit_words(panel: Panel) -> str:
    """What stands after the title."""
    words = ["share" if panel.unit == "rate" else panel.unit, "log scale" if panel.log else ""]
    return ", ".join(filter(None, words))


def title_width(panel: Panel) -> float:
    """The width of the title with its unit, pixels."""
    return text_width(panel.title, 13, bold=True) + 8 + text_width(unit_words(panel))


def legend_width(panel: Panel, values: Matrix) -> float:
    """The width of the colour bar with its words, pixels."""
    return sum(text_width(word, 11) for word in legend_words(panel, values)) + BAR + 12


def draw_legend(canvas: Canvas, panel: Panel, values: Matrix, x: float, y: float) -> None:
    """The colour bar between its end values, from x on the baseline y."""
    first, last = legend_words(panel, values)
    canvas.text(x, y, first, fill=FAINT, size=11)
    start, steps = x + text_width(first, 11) + 4, 12
    paints = ramp(panel.scale)
    for i in range(steps):
        paint = paints[round(i * (LEVELS - 1) / (steps - 1))]
        canvas.rect(start + i * BAR / steps, y - 8, BAR / steps + 0.3, 8, fill=paint)
    canvas.text(start + BAR + 6, y, last, fill=FAINT, size=11)
