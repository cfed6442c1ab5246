"""A text whose tokens carry values, and what each layer would say next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, text_width
from lenswright.plots.colour import FAINT, LEVELS, LINE, SURFACE, on, ramp
from lenswright.plots.figure import Figure
from lenswright.plots.heat import heatmap
from lenswright.plots.values import plain, show, vector, visible


def tokens(
    tokens: Sequence[str],
    values: Any,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    width: float = 860,
) -> Figure:
    """A text as coloured tokens, one value each; lines wrap at `width` pixels and at line breaks.

    Values of both signs are shown on the diverging scale around 0, others from low to high. Spaces
    are seen as a gap, line breaks as signs; hovering shows token and value. Raises ValueError when
    the counts differ.
    """
    texts = [str(token) for token in plain(list(tokens))]
    numbers = vector(values, "values")
    if len(texts) != len(numbers):
        raise ValueError(f"values: {len(numbers)} values for {len(texts)} tokens")
    present = [v for v in numbers if v is not None]
    bottom = low if low is not None else min(present, default=0.0)
    top = high if high is not None else max(present, default=1.0)
    diverging = bottom < 0 < top
    if diverging:
        bottom, top = -max(-bottom, top), max(-bottom, top)
    paints = ramp("diverging" if diverging else "blue")
    canvas = Canvas()
    _key(canvas, paints, show(bottom, unit), show(top, unit))
    size, tall = 13.0, 26.0
    x, y = 0.0, 26.0
    for i, (token, value) in enumerate(zip(texts, numbers, strict=True)):
        shown = visible(token)
        bare = shown.removeprefix("␣") or shown
        gap = 5.0 if shown != bare else 1.0
        wide = sum(1.2 if ord(c) > 0x2E80 else 0.605 for c in bare) * size + 6
        if x + gap + wide > width and x > 0:
            x, y = 0.0, y + tall
        x += gap if x else 0.0
        paint = None
        if value is not None:
            where = (value - bottom) / (top - bottom) if top > bottom else 0.5
            paint = paints[round(min(1.0, max(0.0, where)) * (LEVELS - 1))]
        tip = f"{i}: {shown}\n{show(value, unit)} {'' if unit == 'rate' else unit}".rstrip()
        canvas.rect(
            x,
            y,
            wide,
            tall - 4,
            fill=paint or SURFACE,
            stroke=None if paint else LINE,
            rx=3,
            tip=tip,
        )
        ink = on(paint) if paint else FAINT
        canvas.text(x + 3, y + 15.5, bare, fill=ink, size=size, mono=True)
        x += wide
        if token.endswith("\n"):
            x, y = 0.0, y + tall
    height = y + (tall if x else 0) + 2
    return Figure(width, height, canvas.parts, f"{len(texts)} tokens coloured by value")


def _key(canvas: Canvas, paints: Sequence[Any], first: str, last: str) -> None:
    canvas.text(0, 12, first, fill=FAINT, size=11)
    start = text_width(first, 11) + 4
    for i in range(12):
        canvas.rect(start + i * 6, 4, 6.3, 8, fill=paints[round(i * (LEVELS - 1) / 11)])
    canvas.text(start + 78, 12, last, fill=FAINT, size=11)


def logit_lens(
    values: Any,
    *,
    texts: Sequence[Sequence[str]] | None = None,
    layers: Sequence[Any] | None = None,
    positions: Sequence[str] | None = None,
    title: str = "logit lens",
    unit: str = "",
    width: float = 860,
    **panel: Any,
) -> Figure:
    """What each layer would predict: a heat map [layers, positions] with the deepest layer on top.

    `values` colours the cells (a probability, a logit, an entropy), `texts` [layers, positions] is
    written in them (the likeliest token), `layers` and `positions` label the sides. Further
    keywords are those of `plots.Panel`.
    """
    rows = plain(values)
    names = list(layers) if layers is not None else list(range(len(rows)))
    written = (
        [[visible(str(t)) for t in row] for row in plain(texts)][::-1]
        if texts is not None
        else None
    )
    return heatmap(
        rows[::-1],
        rows=names[::-1],
        columns=positions,
        row_name="layer",
        column_name="position",
        title=title,
        unit=unit,
        texts=written,
        width=width,
        **panel,
    )
