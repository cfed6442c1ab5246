"""Groups of values as swarms of points on one axis, the values that matter named above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, clip, text_width
from lenswright.plots.colour import ACCENT, FAINT, INK, LINE, SERIES, SOFT, SURFACE, WARM, Paint
from lenswright.plots.figure import Figure
from lenswright.plots.marks import axis_over, spread, swarm
from lenswright.plots.values import show, vector

_PAINTS = {"accent": ACCENT, "warm": WARM, "ink": INK}


def strip(
    groups: Mapping[str, Any],
    *,
    marks: Sequence[tuple[str, float, str]] = (),
    unit: str = "",
    name: str = "",
    width: float = 860,
) -> Figure:
    """Values as points, one lane for each group.

    `groups` maps a label to its values (missing ones are left out). `marks` are (label, value,
    paint) with paint "ink", "accent" or "warm": a line through all lanes, named at the top. `unit`
    is "rate" (0 to 1, in %) or a word, `name` stands at the axis, `width` is the room in pixels;
    below 560 the labels move above their lanes.
    """
    if not groups:
        raise ValueError("groups: expected at least one group of values, got none")
    for _, _, name_ in marks:
        if name_ not in _PAINTS:
            raise ValueError(f"marks: paint '{name_}' is unknown; expected {', '.join(_PAINTS)}")
    lanes = {
        label: [v for v in vector(values, label) if v is not None]
        for label, values in groups.items()
    }
    narrow = width < 560
    texts = {label: f"{label} ({len(values)})" for label, values in lanes.items()}
    left = 16.0 if narrow else min(0.3 * width, max(map(text_width, texts.values())) + 16)
    everything = [v for values in lanes.values() for v in values] + [value for _, value, _ in marks]
    axis = axis_over(everything, left, width - 22, unit)
    lane = 56.0 if narrow else 42.0
    top = 30.0 if marks else 6.0
    bottom = top + lane * len(lanes)
    canvas = Canvas()
    axis.draw(canvas, bottom, [(top, bottom)])
    title = " · ".join(
        part
        for part in (name, "" if unit == "rate" else unit, "log scale" if axis.log else "")
        if part
    )
    canvas.text((left + width - 22) / 2, bottom + 31, title, fill=FAINT, size=11, anchor="middle")
    _draw_marks(canvas, marks, axis, top, bottom, unit, width)
    for i, (label, values) in enumerate(lanes.items()):
        y = top + lane * i + lane / 2 + (8 if narrow else 0)
        if i:
            canvas.line(0, top + lane * i, width, top + lane * i, LINE, 0.75)
        if narrow:
            canvas.text(left, top + lane * i + 14, texts[label], fill=SOFT, size=11.5, halo=SURFACE)
        else:
            canvas.text(left - 14, y + 4, clip(texts[label], left - 14), fill=SOFT, anchor="end")
        _draw_swarm(canvas, label, values, axis, y, SERIES[5] if i == 0 else SERIES[0], unit)
    return Figure(
        width,
        bottom + (38 if title else 22),
        canvas.parts,
        f"{name or 'Values'}: {', '.join(texts.values())}",
    )


def _draw_swarm(
    canvas: Canvas,
    label: str,
    values: Sequence[float],
    axis: Any,
    y: float,
    paint: Paint,
    unit: str,
) -> None:
    """The points of a lane, beside each other where they would touch."""
    xs = [axis.at(v) for v in values]
    radius = 4.0 if len(xs) <= 40 else 3.0
    for x, offset, value in zip(xs, swarm(xs, radius, 16.0), values, strict=True):
        tip = f"{label}: {show(value, unit)} {'' if unit == 'rate' else unit}".rstrip()
        canvas.circle(
            x, y + offset, radius, fill=paint, stroke=SURFACE, stroke_width=0.8, fill_opacity=0.85,
            tip=tip,
        )  # fmt: skip


def _draw_marks(
    canvas: Canvas,
    marks: Sequence[tuple[str, float, str]],
    axis: Any,
    top: float,
    bottom: float,
    unit: str,
    width: float,
) -> None:
    """The named lines; their names keep clear of each other and of the edges."""
    texts = [f"{label} {show(value, unit)}" for label, value, _ in marks]
    half = max((text_width(text, bold=True) for text in texts), default=0.0) / 2
    places = spread([axis.at(value) for _, value, _ in marks], 2 * half + 10, half, width - half)
    for (_, value, paint), text, place in zip(marks, texts, places, strict=True):
        x = axis.at(value)
        canvas.line(x, top - 10, x, bottom, _PAINTS[paint], 1.8)
        if abs(place - x) > 2:
            canvas.line(x, top - 10, place, top - 14, _PAINTS[paint], 1)
        canvas.text(place, top - 18, text, fill=_PAINTS[paint], bold=True, anchor="middle")
