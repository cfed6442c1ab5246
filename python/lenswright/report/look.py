"""Look: where in the network the two classes part."""

from __future__ import annotations

from typing import Any

from lenswright import plots
from lenswright.plots.heat_scale import Panel
from lenswright.plots.values import number, visible
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import WIDE, Part, chosen_cell, classes, picture, place

NAMES = {
    "separation": ("separation d′", "pooled standard deviations", "blue"),
    "cosine": ("cosine of the class means", "", "diverging"),
    "norm": ("length of the difference of means", "", "blue"),
    "standard_error": ("standard error of the difference", "", "violet"),
    "split_half": ("split-half cosine", "", "blue"),
}
MOST_LINES = 6


def best(data: Part) -> tuple[int, int, float] | None:
    """Row, column and value of the chosen cell's separation, or of the greatest where nothing was
    chosen.
    """
    part = data.get("separation", {})
    values = part.get("separation")
    if values is None:
        return None
    present = [
        (v, -r, -c) for r, row in enumerate(values) for c, v in enumerate(row) if v is not None
    ]
    if not present:
        return None
    cell = chosen_cell(data, part)
    if cell and values[cell[0]][cell[1]] is not None:
        return cell[0], cell[1], values[cell[0]][cell[1]]
    value, row, column = max(present)
    return -row, -column, value


def section(data: Part) -> Markup:
    """The heat map of separation, how well the direction is known, and the numbers."""
    part = data.get("separation")
    if not part:
        return join()
    present = [name for name in NAMES if part.get(name) is not None]
    if not present:
        return join()
    main = present[0]
    title, unit, scale = NAMES[main]
    cell, tips = chosen_cell(data, part), _tips(part, [n for n in present if n != main])
    names = {
        "rows": part["positions"],
        "columns": part["layers"],
        "row_name": "token",
        "column_name": "layer",
    }

    def heat(width: float) -> plots.Figure:
        panel = Panel(
            part[main],
            title=title,
            unit=unit,
            scale=scale,
            marked=cell,
            tips=tips,
            low=_floor(main),
        )
        return plots.heatmaps([panel], width=width, **names)

    positive, negative = classes(data)
    meaning = (
        f"d′ is how far the means of {positive} and {negative} prompts lie apart along their "
        "difference, in pooled standard deviations. "
    )
    caption = join(
        "Each cell is one layer (the residual stream at its input) and one token position. ",
        meaning if main == "separation" else "",
        "The outlined cell is the direction chosen below." if cell else "",
    )
    room = WIDE - heat(WIDE).width - 36
    halves = _halves(part, room if room >= 380 else WIDE) if main != "split_half" else join()
    return join(
        _lede(data, part),
        tag("div", picture(heat, caption), halves, class_="row"),
        tag("p", part["note"], class_="note") if part.get("note") else "",
        details("All numbers", _numbers(part, present)),
    )


def _floor(name: str) -> float | None:
    """Distances are coloured from 0."""
    return 0.0 if name in ("separation", "norm", "standard_error") else None


def _lede(data: Part, part: Part) -> Markup:
    found = best(data)
    if found is None:
        return join()
    row, column, value = found
    positive, negative = classes(data)
    halves = part.get("split_half")
    half = halves[row][column] if halves else None
    sure = (
        f", and two halves of the prompts agree on the direction to a cosine of {_cosine(half)}"
        if half is not None
        else ""
    )
    where = place(part, row, part["layers"][column])
    return tag(
        "p",
        f"{positive.capitalize()} and {negative} prompts lie ",
        tag("b", f"{number(value)} standard deviations"),
        " apart at ",
        where,
        sure,
        ".",
        class_="lede",
    )


def _cosine(value: float) -> str:
    """A cosine with the digits that tell it from 1."""
    text = f"{value:.3f}"
    return f"{value:.6f}" if abs(value) < 1 and text in ("1.000", "-1.000") else text


def _tips(part: Part, names: list[str]) -> list[list[str]]:
    """What a cell's tooltip says beside the colour's value."""

    def cell(r: int, c: int) -> str:
        lines = []
        for name in names:
            value = part[name][r][c]
            if value is None or name == "standard_error":
                continue
            error = part.get("standard_error")
            extra = (
                f" ± {number(error[r][c])}"
                if name == "norm" and error and error[r][c] is not None
                else ""
            )
            shown = _cosine(value) if "cosine" in NAMES[name][0] else number(value)
            lines.append(f"{NAMES[name][0]} {shown}{extra}")
        return "\n".join(lines)

    return [[cell(r, c) for c in range(len(part["layers"]))] for r in range(len(part["positions"]))]


def _halves(part: Part, wide: float) -> Markup:
    """How well two halves agree: lines over layers, or a heat map where they would be too many."""
    values = part.get("split_half")
    if values is None:
        return join()
    caption = (
        "Cosine between the directions found in two halves of the prompts: near 1 means that "
        "more prompts would not turn it."
    )
    if (
        len(part["positions"]) > MOST_LINES
        or len(part["layers"]) < 2
        or len(set(part["positions"])) < len(values)
    ):
        names = {
            "rows": part["positions"],
            "columns": part["layers"],
            "row_name": "token",
            "column_name": "layer",
        }
        return picture(
            lambda width: plots.heatmap(values, title="split-half cosine", width=width, **names),
            caption,
        )
    series = {visible(p): row for p, row in zip(part["positions"], values, strict=True)}
    least = min((v for row in values for v in row if v is not None), default=0.0)

    def draw(width: float) -> plots.Figure:
        return plots.lines(
            series,
            x=part["layers"],
            x_name="layer",
            y_name="split-half cosine",
            width=width,
            height=212,
            high=1.0,
            low=max(-1.0, least - 0.1 * (1 - least) - 1e-3),
        )

    return picture(draw, caption, wide)


def _numbers(part: Part, present: list[str]) -> Markup:
    columns = ["token", "layer", *(NAMES[name][0] for name in present)]
    rows: list[list[Any]] = []
    for r, position in enumerate(part["positions"]):
        for c, layer in enumerate(part["layers"]):
            shown = [
                "–"
                if part[n][r][c] is None
                else _cosine(part[n][r][c])
                if "cosine" in NAMES[n][0]
                else number(part[n][r][c])
                for n in present
            ]
            rows.append([tag("code", visible(position)), layer, *shown])
    return table(columns, rows, numbers=tuple(range(1, len(columns))))
