"""Lines over layers (or anything else that is counted), named where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    data = _checked(series)
    places = labels(x, len(next(iter(data.values()))), "x")
    present = [v for values in data.values() for v in values if v is not None]
    least, most = _bounds([*present, reference[1]] if reference else present, low, high)
    marks = ticks(least, most, max(2, int(height / 45)))
    names = list(data)
    room = _Room(
        left=max(text_width(text, 11) for text in tick_texts(marks, unit)) + 12,
        right=(
            width - min(0.3 * width, max(text_width(name, bold=True) for name in names) + 12)
            if len(names) > 1
            else width - 10
        ),
        top=24.0 if y_name else 10.0,
        bottom=height - (36 if x_name else 24),
        least=least, most=most, count=len(places),
    )  # fmt: skip
    canvas = Canvas()
    canvas.text(0, 12, y_name, fill=SOFT, size=11.5)
    _axes(canvas, room, marks, unit, places, x_name)
    if reference:
        _level(canvas, room, *reference, unit)
    for i, (name, values) in enumerate(data.items()):
        points = [
            (room.across(j), room.up(v), v) if v is not None else None for j, v in enumerate(values)
        ]
        _line(canvas, name, points, places, i, unit)
    if len(names) > 1:
        _names(canvas, data, room, width)
    described = f"Lines of {y_name or 'values'} over {x_name or 'places'}: {', '.join(names)}"
    return Figure(width, height, canvas.parts, described)


@dataclass(frozen=True)
class _Room:
    """Where on the canvas `count` places and the values from `least` to `most` lie."""

    left: float
    right: float
    top: float
    bottom: float
    least: float
    most: float
    count: int

    def across(self, i: int) -> float:
        share = i / (self.count - 1) if self.count > 1 else 0.5
        return self.left + (self.right - self.left) * share

    def up(self, value: float) -> float:
        share = (value - self.least) / (self.most - self.least)
        return self.bottom - min(1.0, max(0.0, share)) * (self.bottom - self.top)


def _checked(series: Mapping[str, Any]) -> dict[str, list[float | None]]:
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
    return data


def _bounds(present: list[float], low: float | None, high: float | None) -> tuple[float, float]:
    """Of the vertical axis, with a margin where nobody says."""
    least = low if low is not None else min(present, default=0.0)
    most = high if high is not None else max(present, default=1.0)
    pad = 0.04 * (most - least)
    least -= pad if low is None else 0.0
    most += pad if high is None else 0.0
    return (least, most) if most > least else (least - 0.5, most + 0.5)


def _axes(
    canvas: Canvas, room: _Room, marks: list[float], unit: str, places: list[str], x_name: str
) -> None:
    for v, text in zip(marks, tick_texts(marks, unit), strict=True):
        canvas.line(room.left, room.up(v), room.right, room.up(v), LINE)
        canvas.text(room.left - 6, room.up(v) + 4, text, fill=SOFT, size=11, anchor="end")
    widest = max(text_width(p, 11) for p in places) + 8
    every = max(1, -(-widest * room.count // (room.right - room.left)))
    for i, place in enumerate(places):
        if i % int(every) == 0:
            x, y = room.across(i), room.bottom + 15
            canvas.text(x, y, place, fill=SOFT, size=11, anchor="middle")
    middle = (room.left + room.right) / 2
    canvas.text(middle, room.bottom + 31, x_name, fill=FAINT, size=11, anchor="middle")


def _level(canvas: Canvas, room: _Room, name: str, value: float, unit: str) -> None:
    """What the lines are compared with."""
    y = room.up(value)
    canvas.line(room.left, y, room.right, y, SOFT, 1.2, stroke_dasharray="4 3")
    below = 13 if y - room.top < 16 else -5
    text = f"{name} {show(value, unit)}"
    canvas.text(room.left + 4, y + below, text, fill=SOFT, size=11, halo=SURFACE)


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
    canvas: Canvas, data: Mapping[str, list[float | None]], room: _Room, width: float
) -> None:
    """Each line's name beside its last point, moved apart where they would touch."""
    ends = {
        name: next((v for v in reversed(values) if v is not None), None)
        for name, values in data.items()
    }
    wanted = [room.up(end) if end is not None else room.bottom for end in ends.values()]
    apart = min(14.0, (room.bottom - room.top) / max(1, len(wanted) - 1))
    free = width - room.right - 9
    for i, (name, y) in enumerate(
        zip(ends, spread(wanted, apart, room.top, room.bottom), strict=True)
    ):
        paint = SERIES[i % len(SERIES)]
        canvas.text(room.right + 9, y + 4, clip(name, free, bold=True), fill=paint, bold=True)
