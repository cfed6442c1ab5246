"""Pieces that the sections share: a picture in two widths, facts as a list, and how things are
said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lenswright.plots.figure import Figure
from lenswright.plots.values import MINUS, show, visible
from lenswright.report.html import Markup, join, tag

WIDE, NARROW = 860.0, 342.0
"""Room for pictures on a desk and on a phone, pixels: each is drawn for both, and the page shows
the one that fits.
"""

Part = Mapping[str, Any]


def picture(draw: Callable[[float], Figure], caption: Any = "", wide: float = WIDE) -> Markup:
    """A figure drawn for both widths, with its caption."""
    both = [
        tag("div", Markup(draw(width).inline), class_=f"{name} scroll")
        for name, width in (("wide", wide), ("narrow", NARROW))
    ]
    style = f"--w:{draw(wide).width}px"
    return tag("figure", both, tag("figcaption", caption) if caption else "", style=style)


def facts(values: Mapping[str, Any]) -> Markup:
    """Names and values, one under the other."""
    rows = [
        tag("div", tag("dt", key.replace("_", " ")), tag("dd", said(value)))
        for key, value in values.items()
    ]
    return tag("dl", rows, class_="facts")


def said(value: Any) -> str:
    """A fact as a reader expects it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return f"{value:.4g}".replace("-", MINUS) if isinstance(value, float) else str(value)


def place(part: Part, row: int, layer: int | str) -> Markup:
    """A candidate's place in words: layer and token."""
    return join(f"layer {layer}, ", tag("code", visible(part["positions"][row])))


def chosen_cell(data: Part, part: Part) -> tuple[int, int] | None:
    """Row and column of the chosen direction in this part's matrices, where there is one."""
    grid = data.get("grid", {})
    chosen = grid.get("chosen")
    if (
        not chosen
        or grid["positions"] != part["positions"]
        or chosen["layer"] not in part["layers"]
    ):
        return None
    return chosen["position"], part["layers"].index(chosen["layer"])


def is_chosen(grid: Part, r: int, c: int) -> bool:
    """Whether this candidate is the chosen one."""
    chosen = grid.get("chosen")
    return chosen is not None and (chosen["position"], chosen["layer"]) == (r, grid["layers"][c])


def why(grid: Part, r: int, c: int) -> str:
    """Why this candidate was dropped; "" where it was kept."""
    dropped = grid.get("dropped")
    return (dropped[r][c] if dropped else "") or ""


def cosine(value: float) -> str:
    """A cosine with the digits that tell it from 1."""
    text = f"{value:.3f}"
    return f"{value:.6f}" if abs(value) < 1 and text in ("1.000", "-1.000") else text


def classes(data: Part) -> tuple[str, str]:
    """What the two classes are called."""
    names = data.get("classes", {})
    return names.get("positive", "positive"), names.get("negative", "negative")


def change(effect: Part) -> str:
    """Before and after of an effect in its unit."""
    unit = effect.get("unit", "rate")
    after = show(effect["after"], unit) + ("" if unit == "rate" else f" {unit}")
    return (
        f"{show(effect['before'], unit)} → {after}" if effect.get("before") is not None else after
    )


def mark(passed: bool | None) -> Markup:
    """A verdict by sign, word and colour."""
    word, sign, kind = {
        True: ("reached", "✓", "good"),
        False: ("not reached", "✗", "bad"),
        None: ("not measured", "–", "none"),
    }[passed]
    return tag("span", tag("span", sign, aria_hidden="true"), f" {word}", class_=f"verdict {kind}")
