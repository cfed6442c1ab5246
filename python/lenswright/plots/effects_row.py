"""One row of the effects plot: its words and its marks."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from lenswright.plots.canvas import Canvas, clip
from lenswright.plots.colour import ACCENT, FAINT, INK, LINE, SOFT, SURFACE
from lenswright.plots.marks import Axis
from lenswright.plots.values import number, show, span

WANTED = {"lower": "should fall", "higher": "should rise", "same": "should stay"}
NARROW = 560
"""Below this width, in pixels, the words move above the marks."""


def against_null(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many random directions moved the measure at least as far as the edit did, of how many."""
    if not row.get("null") or row.get("before") is None:
        return None
    before = row["before"]
    moved = abs(row["after"] - before)
    return sum(abs(value - before) >= moved for value in row["null"]), len(row["null"])


def row_values(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """The change, its interval and the null, as they are written beside the marks."""
    unit = str(row["unit"])
    before, after = row.get("before"), show(row["after"], unit)
    change = f"{show(before, unit)} → {after}" if before is not None else after
    interval = span(row["interval"][0], row["interval"][1], unit) if row.get("interval") else ""
    null = f"random {span(min(row['null']), max(row['null']), unit)}" if row["null"] else ""
    return change, interval, null


def row_words(canvas: Canvas, row: Mapping[str, Any], y: float, left: float, width: float) -> None:
    """Name and prompts on the left, values on the right; or all above the marks on a phone."""
    change, interval, null = row_values(row)
    under = [f"n = {row['n']:,}"] if row.get("n") is not None else []
    under += [WANTED[row["better"]]] if row.get("better") else []
    if width < NARROW:
        canvas.text(0, y - 50, clip(row["name"], width, 13, bold=True), bold=True, size=13)
        canvas.text(0, y - 33, change, bold=True, size=13)
        canvas.text(width, y - 33, interval, fill=SOFT, size=11, anchor="end")
        canvas.text(0, y - 17, " · ".join(under), fill=FAINT, size=11)
        canvas.text(width, y - 17, null, fill=FAINT, size=11, anchor="end")
        return
    canvas.text(0, y + 3, clip(row["name"], left - 16, 13, bold=True), bold=True, size=13)
    canvas.text(0, y + 19, " · ".join(under), fill=FAINT, size=11)
    canvas.text(width, y - 7, change, bold=True, size=13, anchor="end")
    canvas.text(width, y + 8, interval, fill=SOFT, size=11, anchor="end")
    canvas.text(width, y + 22, null, fill=FAINT, size=11, anchor="end")


def row_marks(canvas: Canvas, row: Mapping[str, Any], axis: Axis, y: float) -> None:
    """Before, after with its interval, and one stroke for each random direction below them."""
    unit = axis.unit
    for value in row["null"]:
        x = axis.at(value)
        canvas.line(x, y + 9, x, y + 19, FAINT, 1.4, stroke_opacity=0.7)
    after = axis.at(row["after"])
    before = row.get("before")
    if axis.log and before is not None and before <= 0:
        before = None  # 0 has no place on an axis of ratios
    if before is not None:
        canvas.line(axis.at(before), y, after, y, LINE, 2)
    for key, paint, thick in (("interval_before", INK, 1.6), ("interval", ACCENT, 3.0)):
        if row.get(key) and (before is not None or key == "interval"):
            low, high = (axis.at(v) for v in row[key])
            canvas.line(low, y, high, y, paint, thick, stroke_linecap="round")
    if before is not None:
        canvas.circle(axis.at(before), y, 5.5, fill=SURFACE, stroke=INK, stroke_width=1.8)
    canvas.circle(after, y, 4.5, fill=ACCENT, stroke=SURFACE, stroke_width=1.2)
    wide = axis.right - axis.left + 16
    canvas.rect(axis.left - 8, y - 12, wide, 34, tip=_tip(row, unit), pointer_events="all")


def _tip(row: Mapping[str, Any], unit: str) -> str:
    lines = [str(row["name"])]
    if row.get("before") is not None:
        lines.append(f"before {show(row['before'], unit)}")
    lines.append(f"after {show(row['after'], unit)}")
    if row.get("interval"):
        low, high = (show(v, unit) for v in row["interval"])
        lines.append(f"{row.get('interval_kind', 'interval')} {low} to {high}")
    versus = against_null(row)
    if versus:
        lines.append(f"{versus[0]} of {versus[1]} random directions moved it as far")
        spread = statistics.stdev(row["null"]) if len(row["null"]) > 1 else 0.0
        if spread > 0:
            away = number((row["after"] - statistics.fmean(row["null"])) / spread)
            lines.append(f"{away} standard deviations from their mean")
    return "\n".join([*lines, *([str(row["note"])] if row.get("note") else [])])
