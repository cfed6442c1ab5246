"""Look: where in the network the two classes part."""

from __future__ import annotations

from typing import Any

from lenswright.plots.values import number, visible
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import WIDE, Part, chosen_cell, classes, cosine, picture, place
from lenswright.report.pictures import MATRICES, Draw, present

HALVES = (
    "Cosine between the directions found in two halves of the prompts: near 1 means that more "
    "prompts would not turn it."
)


def best(data: Part) -> tuple[int, int, float] | None:
    """Row, column and value of the chosen cell's separation, or of the greatest where nothing was
    chosen.
    """
    part = data.get("separation", {})
    values = part.get("separation")
    if values is None:
        return None
    cells = [
        (v, -r, -c) for r, row in enumerate(values) for c, v in enumerate(row) if v is not None
    ]
    if not cells:
        return None
    cell = chosen_cell(data, part)
    if cell and values[cell[0]][cell[1]] is not None:
        return cell[0], cell[1], values[cell[0]][cell[1]]
    value, row, column = max(cells)
    return -row, -column, value


def section(data: Part, draws: dict[str, Draw]) -> Markup:
    """The heat map of separation, how well the direction is known, and the numbers."""
    part = data.get("separation", {})
    if "separation" not in draws:
        return join()
    positive, negative = classes(data)
    meaning = (
        f"d′ is how far the means of {positive} and {negative} prompts lie apart along their "
        "difference, in pooled standard deviations. "
    )
    caption = join(
        "Each cell is one layer (the residual stream at its input) and one token position. ",
        meaning if part.get("separation") else "",
        "The outlined cell is the direction chosen below." if chosen_cell(data, part) else "",
    )
    side_by_side = [picture(draws["separation"], caption)]
    if "split_half" in draws:
        room = WIDE - draws["separation"](WIDE).width - 36
        side_by_side.append(picture(draws["split_half"], HALVES, room if room >= 380 else WIDE))
    return join(
        _lede(data, part),
        tag("div", side_by_side, class_="row"),
        tag("p", part["note"], class_="note") if part.get("note") else "",
        details("All numbers", _numbers(part)),
    )


def _lede(data: Part, part: Part) -> Markup:
    found = best(data)
    if found is None:
        return join()
    row, column, value = found
    positive, negative = classes(data)
    halves = part.get("split_half")
    half = halves[row][column] if halves else None
    sure = (
        f", and two halves of the prompts agree on the direction to a cosine of {cosine(half)}"
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


def _numbers(part: Part) -> Markup:
    names = present(part)
    columns = ["token", "layer", *(MATRICES[name][0] for name in names)]
    rows: list[list[Any]] = []
    for r, position in enumerate(part["positions"]):
        for c, layer in enumerate(part["layers"]):
            shown = [_shown(name, part[name][r][c]) for name in names]
            rows.append([tag("code", visible(position)), layer, *shown])
    return table(columns, rows, numbers=tuple(range(1, len(columns))))


def _shown(name: str, value: float | None) -> str:
    return cosine(value) if value is not None and "cosine" in MATRICES[name][0] else number(value)
