"""How one heat map is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lenswright.plots.canvas import Canvas, clip, coordinate, text_width
from lenswright.plots.colour import FAINT, INK, LINE, SOFT, SURFACE, Paint, on
from lenswright.plots.heat_scale import Panel, cell_texts, draw_legend, scaled, unit_words
from lenswright.plots.values import MISSING, Matrix, show


@dataclass(frozen=True)
class Frame:
    """Where a panel lies: its corner, the cells' corner and size, and what is written along its
    sides.
    """

    x: float
    y: float
    left: float
    cell: float
    row: float
    rows: list[str]
    columns: list[str]
    row_name: str
    column_name: str

    @property
    def origin(self) -> float:
        """The left edge of the cells."""
        return self.x + self.left

    def box(self, r: int, c: int) -> tuple[float, float, float, float]:
        """Corner, width and height of a cell, without the gap to its neighbours."""
        gap = 2.0 if self.cell > 12 else 1.0 if self.cell > 5 else 0.0
        corner = self.origin + c * self.cell, self.y + r * self.row
        return *corner, self.cell - gap, self.row - gap


def draw_panel(canvas: Canvas, panel: Panel, values: Matrix, frame: Frame) -> None:
    """One heat map with its title, legend, labels, cells and the outlined one."""
    if panel.title:
        canvas.text(frame.x, frame.y - 30, panel.title, bold=True, size=13)
        after = frame.x + text_width(panel.title, 13, bold=True) + 8
        canvas.text(after, frame.y - 30, unit_words(panel), fill=SOFT)
    draw_legend(canvas, panel, values, frame.origin, frame.y - 9)
    _sides(canvas, frame)
    paint = scaled(panel, values)[2]
    shown = cell_texts(panel, values)
    size = _text_size(panel, shown, frame.cell)
    for r, row in enumerate(values):
        for c, value in enumerate(row):
            why = (panel.hatched[r][c] if panel.hatched is not None else "") or ""
            colour = paint(value) if value is not None else None
            _cell(canvas, frame, r, c, colour, _tip(panel, frame, r, c, value, why), bool(why))
            if size and shown[r][c] != MISSING:
                text = clip(shown[r][c], frame.cell - 4, size)
                _write(canvas, frame, r, c, colour, text, size, bool(why))
    if panel.marked is not None:
        _outline(canvas, frame, *panel.marked)


def _text_size(panel: Panel, shown: list[list[str]], cell: float) -> float:
    """The size at which every cell's text fits; 0 where none does and the colours must do."""
    longest = max(text_width(text, 1.0) for row in shown for text in row)
    sizes = (s for s, free in ((11.5, 7), (10.0, 3)) if longest * s <= cell - free)
    return next(sizes, 10.0 if panel.texts is not None else 0.0)


def _sides(canvas: Canvas, frame: Frame) -> None:
    """The names of rows and columns; of columns as many as fit."""
    edge, below = frame.origin - 8, frame.y + len(frame.rows) * frame.row + 15
    canvas.text(edge, frame.y - 9, frame.row_name, fill=FAINT, size=11, anchor="end")
    canvas.text(edge, below, frame.column_name, fill=FAINT, size=11, anchor="end")
    size = 12 if frame.row >= 16 else 9.5
    for r, label in enumerate(frame.rows):
        middle = frame.y + (r + 0.5) * frame.row + 4
        label = clip(label, frame.left - 10, size)
        canvas.text(edge, middle, label, size=size, fill=SOFT, anchor="end")
    every = math.ceil((max(map(text_width, frame.columns)) + 3) / frame.cell)
    for c, label in enumerate(frame.columns):
        if c % every == 0:
            x = frame.origin + (c + 0.5) * frame.cell
            canvas.text(x, below, label, fill=SOFT, anchor="middle", size=11.5)


def _tip(panel: Panel, frame: Frame, r: int, c: int, value: float | None, why: str) -> str:
    unit = "" if panel.unit == "rate" else panel.unit
    lines = [
        f"{frame.column_name or 'column'} {frame.columns[c]}, "
        f"{frame.row_name or 'row'} {frame.rows[r]}",
        f"{panel.title or 'value'} {show(value, panel.unit)} {unit}",
        panel.tips[r][c] if panel.tips is not None else "",
        f"dropped: {why}" if why else "",
    ]
    return "\n".join(line.strip() for line in lines if line)


def _cell(
    canvas: Canvas, frame: Frame, r: int, c: int, paint: Paint | None, tip: str, hatched: bool
) -> None:
    x, y, w, h = frame.box(r, c)
    radius = 3 if min(w, h) > 14 else 0
    if paint is None:
        canvas.rect(x + 0.5, y + 0.5, w - 1, h - 1, fill=SURFACE, stroke=LINE, rx=radius, tip=tip)
    else:
        canvas.rect(x, y, w, h, fill=paint, rx=radius, tip=tip)
    if hatched:
        strokes: dict[str, float | str] = {"d": _hatch(x, y, w, h), "pointer_events": "none"}
        strokes |= {"stroke_width": 1.2, "stroke_opacity": 0.75}
        canvas.add("path", strokes, stroke=SURFACE)


def _write(
    canvas: Canvas,
    frame: Frame,
    r: int,
    c: int,
    paint: Paint | None,
    text: str,
    size: float,
    plate: bool,
) -> None:
    """The value in its cell; on a hatched one over a plate of the cell's colour."""
    x, y, w, h = frame.box(r, c)
    ink, under = (on(paint), paint) if paint else (SOFT, SURFACE)
    middle, across = y + h / 2, x + w / 2
    wide = min(w, text_width(text, size) + 6)
    if plate:
        left, top = across - wide / 2, middle - 8
        canvas.rect(left, top, wide, 16, fill=under, rx=3, pointer_events="none")
    canvas.text(across, middle + 4, text, fill=ink, size=size, anchor="middle")


def _hatch(x: float, y: float, w: float, h: float, step: float = 6.0) -> str:
    """Rising diagonals cut to a rectangle; an SVG pattern would need a name unique in the page."""
    strokes = []
    offset = step / 2
    while offset < w + h:
        right, top = min(offset, w), max(0.0, offset - w)
        run = coordinate(right - max(0.0, offset - h))
        strokes.append(f"M{coordinate(x + right)} {coordinate(y + top)}l-{run} {run}")
        offset += step
    return "".join(strokes)


def _outline(canvas: Canvas, frame: Frame, r: int, c: int) -> None:
    x, y, w, h = frame.box(r, c)
    for paint, width in ((SURFACE, 5.0), (INK, 2.2)):
        canvas.rect(
            x - 1,
            y - 1,
            w + 2,
            h + 2,
            stroke=paint,
            stroke_width=width,
            rx=4,
            pointer_events="none",
        )
