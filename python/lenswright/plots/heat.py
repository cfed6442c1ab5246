"""Heat maps: one matrix, or several over the same rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, text_width
from lenswright.plots.figure import Figure
from lenswright.plots.heat_panel import Frame, draw_panel
from lenswright.plots.heat_scale import Panel, legend_width, title_width
from lenswright.plots.values import Matrix, labels, matrix

ROW_TALL, ROW_LOW, CELL_WIDEST, APART = 34.0, 22.0, 74.0, 30.0


def heatmap(
    values: Any,
    *,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    row_name: str = "",
    column_name: str = "",
    width: float = 860,
    **panel: Any,
) -> Figure:
    """A heat map of a matrix [rows, columns].

    `rows` and `columns` are labels (default: their numbers), `row_name` and `column_name` say what
    they count, `width` is the room in pixels. Further keywords are those of `Panel`: title, unit,
    scale, center, low, high, ends, log, hatched, marked, texts, tips. Raises ValueError that names
    the argument when a shape does not fit.
    """
    return heatmaps(
        [Panel(values, **panel)],
        rows=rows,
        columns=columns,
        row_name=row_name,
        column_name=column_name,
        width=width,
    )


def heatmaps(
    panels: Sequence[Panel],
    *,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    row_name: str = "",
    column_name: str = "",
    width: float = 860,
) -> Figure:
    """Several heat maps over the same rows and columns, side by side where their cells stay
    legible, else stacked.
    """
    if not panels:
        raise ValueError("panels: expected at least one Panel, got none")
    data = [matrix(p.values, "values") for p in panels]
    shape = len(data[0]), len(data[0][0])
    for panel, values in zip(panels, data, strict=True):
        _check(panel, values, shape)
    row_texts, column_texts = labels(rows, shape[0], "rows"), labels(columns, shape[1], "columns")
    left = min(0.34 * width, max(text_width(t) for t in [*row_texts, row_name, column_name]) + 12)
    legend = max(legend_width(p, v) for p, v in zip(panels, data, strict=True))
    title = max(title_width(p) for p in panels)
    count = len(panels)
    share = (width - APART * (count - 1)) / count - left
    across = count if share / shape[1] >= 38 and share >= legend and share + left >= title else 1
    cell = min(CELL_WIDEST, (share if across > 1 else width - left - 4) / shape[1])
    row = ROW_TALL if shape[0] <= 8 and cell > 24 else ROW_LOW if shape[0] <= 64 else 12.0
    head = 44 if any(p.title for p in panels) else 24
    step_x = max(left + max(cell * shape[1], legend), title) + APART
    step_y = head + row * shape[0] + 36
    canvas = Canvas()
    for i, (panel, values) in enumerate(zip(panels, data, strict=True)):
        x, y = (i * step_x, 0.0) if across > 1 else (0.0, i * step_y)
        frame = Frame(x, y + head, left, cell, row, row_texts, column_texts, row_name, column_name)
        draw_panel(canvas, panel, values, frame)
    total = step_x * across - APART + 4
    height = step_y * (1 if across > 1 else count) - 8
    names = ", ".join(p.title for p in panels if p.title) or "values"
    size = f"{shape[0]} {row_name or 'rows'} by {shape[1]} {column_name or 'columns'}"
    described = f"Heat map of {names}: {size}"
    return Figure(min(total, width), height, canvas.parts, described)


def _check(panel: Panel, values: Matrix, shape: tuple[int, int]) -> None:
    sides: list[tuple[str, Any]] = [
        ("values", values),
        ("hatched", panel.hatched),
        ("texts", panel.texts),
        ("tips", panel.tips),
    ]
    for name, side in sides:
        if side is not None and (len(side) != shape[0] or any(len(r) != shape[1] for r in side)):
            got = f"{len(side)} by {len(side[0]) if len(side) else 0}"
            raise ValueError(f"{name}: is {got}, expected {shape[0]} by {shape[1]}")
    if panel.marked is not None and not all(
        0 <= m < n for m, n in zip(panel.marked, shape, strict=True)
    ):
        raise ValueError(
            f"marked: {panel.marked} lies outside {shape[0]} rows by {shape[1]} columns"
        )
