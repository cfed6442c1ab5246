"""Lines over layers (or anything else that is counted), named where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, clip, text_width
from lenswright.plots.colour import FAINT, LINE, SERIES, SOFT, SURFACE
from lenswright.plots.figure import Figure
from lenswright.plots.marks import spread
from lenswright.plots.values import labels, show, tick_texts, ticks, vector

DASHES = ("", "6 3", "2 3")


def lines(
    series: Mapping[str, Any],
    *,
    x: Sequence[Any] | None = None,
    x_name: str = "",
    y_name: str = "",
    unit: str = "",
    reference: tuple[str, float] | None = None,
    low: float | None = None,
    high: float | None = None,
    width: float = 860,
    height: float = 260,
) -> Figure:
    """One line for each entry of `series`, a mapping from its name to its values; missing values
    leave a gap.

    `x` labels the places (default 0, 1, 2 …), `x_name` and `y_name` say what the axes are, `unit`
    is "rate" for percentages, `reference` is (name, value) of a level to compare with, `low` and
    `high` bound the vertical axis. Beyond six lines the colours repeat with other dashes. Raises
    ValueError when the lengths differ.
    """
    if not series:
        raise ValueError("series: expected at least one line, got none")
    data = {name: vector(values, name) for name, values in series.items()}
    count = len(next(iter(data.values())))
    for name, values in data.items():
        if len(values) != count:
            raise ValueError(
                f"series['{name}']: has {len(values)} values where the first line has {count}"
            )
    if not count:
        raise ValueError("series: the lines have no values")
    places = labels(x, count, "x")
    present = [v for values in data.values() for v in values if v is not None] + (
        [reference[1]] if reference else []
    )
    bottom_value = low if low is not None else min(present, default=0.0)
    top_value = high if high is not None else max(present, default=1.0)
    pad = 0.04 * (top_value - bottom_value)
    bottom_value -= pad if low is None else 0.0
    top_value += pad if high is None else 0.0
    if top_value <= bottom_value:
        bottom_value, top_value = bottom_value - 0.5, top_value + 0.5
    marks = ticks(bottom_value, top_value, max(2, int(height / 45)))
    names = list(data)
    right = (
        width - min(0.3 * width, max(text_width(name, bold=True) for name in names) + 12)
        if len(names) > 1
        else width - 10
    )
    left = max(text_width(text, 11) for text in tick_texts(marks, unit)) + 12
    top, bottom = 24.0 if y_name else 10.0, height - (36 if x_name else 24)

    def across(i: int) -> float:
        return left + (right - left) * (i / (count - 1) if count > 1 else 0.5)

    def up(value: float) -> float:
        where = (value - bottom_value) / (top_value - bottom_value)
        return bottom - min(1.0, max(0.0, where)) * (bottom - top)

    canvas = Canvas()
    canvas.text(0, 12, y_name, fill=SOFT, size=11.5)
    for v, text in zip(marks, tick_texts(marks, unit), strict=True):
        canvas.line(left, up(v), right, up(v), LINE)
        canvas.text(left - 6, up(v) + 4, text, fill=SOFT, size=11, anchor="end")
    every = max(1, -(-(max(text_width(p, 11) for p in places) + 8) * count // (right - left)))
    for i, place in enumerate(places):
        if i % int(every) == 0:
            canvas.text(across(i), bottom + 15, place, fill=SOFT, size=11, anchor="middle")
    canvas.text((left + right) / 2, bottom + 31, x_name, fill=FAINT, size=11, anchor="middle")
    if reference:
        level = up(reference[1])
        canvas.line(left, level, right, level, SOFT, 1.2, stroke_dasharray="4 3")
        text = f"{reference[0]} {show(reference[1], unit)}"
        below = 13 if level - top < 16 else -5
        canvas.text(left + 4, level + below, text, fill=SOFT, size=11, halo=SURFACE)
    for i, (name, values) in enumerate(data.items()):
        _line(
            canvas,
            name,
            [(across(j), up(v), v) if v is not None else None for j, v in enumerate(values)],
            places,
            i,
            unit,
        )
    if len(names) > 1:
        _names(canvas, data, up, right, width, top, bottom)
    described = f"Lines of {y_name or 'values'} over {x_name or 'places'}: {', '.join(names)}"
    return Figure(width, height, canvas.parts, described)


def _line(
    canvas: Canvas,
    name: str,
    points: list[tuple[float, float, float] | None],
    places: list[str],
    index: int,
    unit: str,
) -> None:
    paint = SERIES[index % len(SERIES)]
    dash = DASHES[index // len(SERIES) % len(DASHES)]
    path, pen = "", "M"
    for point in points:
        path += f"{pen}{point[0]:.1f} {point[1]:.1f}" if point else ""
        pen = "L" if point else "M"
    pencil: dict[str, float | str] = {"d": path, "stroke_width": 2, "stroke_linejoin": "round"}
    pencil |= {"stroke_dasharray": dash} if dash else {"stroke_linecap": "round"}
    canvas.add("path", pencil, stroke=paint)
    dots = len(points) <= 40
    for place, point in zip(places, points, strict=True):
        if point:
            tip = f"{name} · {place}: {show(point[2], unit)}"
            canvas.circle(
                point[0],
                point[1],
                3.2 if dots else 1,
                fill=paint,
                stroke=SURFACE,
                stroke_width=1,
                tip=tip,
            )


def _names(
    canvas: Canvas,
    data: Mapping[str, list[float | None]],
    up: Any,
    right: float,
    width: float,
    top: float,
    bottom: float,
) -> None:
    """Each line's name beside its last point, moved apart where they would touch."""
    ends = {
        name: next((v for v in reversed(values) if v is not None), None)
        for name, values in data.items()
    }
    wanted = [up(end) if end is not None else bottom for end in ends.values()]
    apart = min(14.0, (bottom - top) / max(1, len(wanted) - 1))
    for i, (name, y) in enumerate(zip(ends, spread(wanted, apart, top, bottom), strict=True)):
        paint = SERIES[i % len(SERIES)]
        canvas.text(
            right + 9, y + 4, clip(name, width - right - 9, bold=True), fill=paint, bold=True
        )
