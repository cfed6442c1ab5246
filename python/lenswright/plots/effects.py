"""What an edit did, one row per measure: before, after with its interval, and random directions
beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from lenswright.plots.canvas import Canvas, text_width
from lenswright.plots.colour import ACCENT, FAINT, INK, LINE, SOFT, SURFACE
from lenswright.plots.effects_row import NARROW, WANTED, row_marks, row_values, row_words
from lenswright.plots.figure import Figure
from lenswright.plots.marks import axis_over
from lenswright.plots.values import vector

_UNIT_NAMES = {"rate": "share of prompts"}
FIELDS = {
    "name",
    "unit",
    "before",
    "after",
    "interval",
    "interval_before",
    "interval_kind",
    "interval_change",
    "p",
    "p_kind",
    "null",
    "n",
    "better",
    "note",
}


def effects(rows: Sequence[Mapping[str, Any]], *, width: float = 860) -> Figure:
    """A dot-and-interval plot of effects; each row is a mapping.

    name: what was measured (needed). after: its value with the edit (needed). before: without it.
    unit: "rate" (0 to 1, shown in %) or a word such as "nats"; each unit gets an axis of its own,
    by ratios where values span over two powers of ten. interval, interval_before: [low, high].
    interval_kind: such as "Wilson 95 %"; interval_change, p, p_kind: not drawn. null: the same
    measure under random directions. n: prompts. better: "lower", "higher" or "same". note: for the
    tooltip. `width` is the room in pixels; below 560 the words move above the marks. Raises
    ValueError that names the row.
    """
    if not rows:
        raise ValueError("rows: expected at least one effect, got none")
    checked = [_check(row, i) for i, row in enumerate(rows)]
    groups = [
        (unit, list(members))
        for unit, members in groupby(checked, key=lambda row: str(row["unit"]))
    ]
    canvas = Canvas()
    y = _legend(canvas, checked, width)
    sides = _sides(checked, width)
    for unit, members in groups:
        y = _panel(canvas, unit, members, width, y, sides)
    names = ", ".join(str(row["name"]) for row in checked)
    return Figure(
        width,
        y,
        canvas.parts,
        f"Effects before and after the edit, beside random directions: {names}",
    )


def _check(row: Mapping[str, Any], index: int) -> dict[str, Any]:
    where = f"rows[{index}]"
    for key in row:
        if key not in FIELDS:
            raise ValueError(
                f"{where}: unknown field '{key}'; expected {', '.join(sorted(FIELDS))}"
            )
    for key in ("name", "after"):
        if row.get(key) is None:
            raise ValueError(f"{where}: '{key}' is missing")
    result = {
        "unit": "rate",
        **row,
        "null": [v for v in vector(row.get("null") or [], f"{where}.null") if v is not None],
    }
    for key in ("interval", "interval_before"):
        ends = vector(row.get(key) or [], f"{where}.{key}")
        if ends and (len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] > ends[1]):
            raise ValueError(f"{where}.{key}: expected [low, high], got {row[key]!r}")
    if row.get("better", "same") not in WANTED:
        raise ValueError(
            f"{where}.better: '{row['better']}' is unknown; expected {', '.join(WANTED)}"
        )
    return result


def _numbers(row: Mapping[str, Any]) -> Iterator[float]:
    for key in ("before", "after"):
        if row.get(key) is not None:
            yield row[key]
    for key in ("interval", "interval_before", "null"):
        yield from row.get(key) or []


def _shown(row: Mapping[str, Any], log: bool) -> list[float]:
    """The values that set the axis; on a log axis an unedited 0 has no place."""
    return [v for v in _numbers(row) if not (log and v <= 0)]


def _legend(canvas: Canvas, rows: list[dict[str, Any]], width: float) -> float:
    """One line that names the marks; returns where the rows may begin."""
    with_interval = [row for row in rows if row.get("interval")]
    kinds = sorted({str(row["interval_kind"]) for row in with_interval if row.get("interval_kind")})
    named = " or ".join(kinds) + " interval" if kinds else "interval"
    after = f"after, {named}" if with_interval else "after"
    nulls = max(len(row["null"]) for row in rows)
    x, y = 6.0, 14.0
    entries = [("before", "before")] if any(row.get("before") is not None for row in rows) else []
    entries += [("after", after)]
    entries += [("null", f"{nulls} random directions")] if nulls else []
    for kind, text in entries:
        wide = text_width(text, 11.5) + 44
        if x + wide > width and x > 6:
            x, y = 6.0, y + 20
        _key(canvas, kind, x, y - 4)
        canvas.text(x + 22, y, text, fill=SOFT, size=11.5)
        x += wide
    return y + 14


def _key(canvas: Canvas, kind: str, x: float, y: float) -> None:
    if kind == "before":
        canvas.circle(x + 8, y, 5.5, fill=SURFACE, stroke=INK, stroke_width=1.8)
    elif kind == "after":
        canvas.line(x, y, x + 17, y, ACCENT, 3, stroke_linecap="round")
        canvas.circle(x + 8, y, 4.5, fill=ACCENT)
    else:
        for i in range(4):
            canvas.line(x + 2 + i * 4, y - 5, x + 2 + i * 4, y + 5, FAINT, 1.4)


def _sides(rows: list[dict[str, Any]], width: float) -> tuple[float, float]:
    """Where the marks begin and end: the words beside them take what they need."""
    if width < NARROW:
        return 20.0, width - 20
    names = max(text_width(row["name"], 13, bold=True) for row in rows)
    values = max(
        max(text_width(c, 13, bold=True), text_width(i, 11), text_width(n, 11))
        for c, i, n in map(row_values, rows)
    )
    right = width - min(max(values + 20, 120.0), width * 0.3)
    return min(max(names + 24, 150.0), width * 0.34), right


def _panel(
    canvas: Canvas,
    unit: str,
    rows: list[dict[str, Any]],
    width: float,
    top: float,
    sides: tuple[float, float],
) -> float:
    """The rows of one unit over their axis; returns the y below it."""
    narrow = width < NARROW
    left, right = sides
    everything = [v for row in rows for v in _numbers(row)]
    above = [v for v in everything if v > 0]
    wide = bool(above) and min(everything) >= 0 and max(above) > 100 * min(above)
    log = unit != "rate" and wide
    axis = axis_over([v for row in rows for v in _shown(row, log)], left, right, unit)
    tall, lead = (98.0, 68.0) if narrow else (58.0, 25.0)
    zero = axis.log and any(v == 0 for row in rows for v in [row["after"], *row["null"]])
    scale = f" (log scale{', 0 at the left edge' if zero else ''})" if axis.log else ""
    title = _UNIT_NAMES.get(unit, unit) + scale
    canvas.text(0, top + 14, title, fill=FAINT, size=11)
    top += 22
    bottom = top + tall * len(rows)
    lanes = [(top + tall * i + lead - 12, top + tall * i + lead + 22) for i in range(len(rows))]
    axis.draw(canvas, bottom, lanes if narrow else [(top, bottom)])
    for i, row in enumerate(rows):
        y = top + tall * i + lead
        if i:
            canvas.line(0, top + tall * i, width, top + tall * i, LINE, 0.75)
        row_words(canvas, row, y, left, width)
        row_marks(canvas, row, axis, y)
    return bottom + 34
