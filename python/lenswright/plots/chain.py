"""Things that should be equal, as a chain whose links carry the largest difference found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, clip, text_width
from lenswright.plots.colour import FAINT, GOOD, INK, LINE, SOFT, WARM, Paint
from lenswright.plots.figure import Figure
from lenswright.plots.values import number


def chain(links: Sequence[Mapping[str, Any]], *, width: float = 860) -> Figure:
    """A chain of equalities.

    Each link is a mapping: left and right (what is compared, needed), difference (the largest
    found; 0 is bit for bit), demand (what it may be), passed (default: difference <= demand), note
    (one short line). A link begins where the one before ended, or begins a new chain. `width` is
    the room in pixels; below 620 the chain runs downwards.
    """
    if not links:
        raise ValueError("links: expected at least one link, got none")
    for i, link in enumerate(links):
        for key in ("left", "right"):
            if not link.get(key):
                raise ValueError(f"links[{i}]: '{key}' is missing")
    canvas = Canvas()
    y = 4.0
    for members in chains(links):
        downwards = width < 620 or len(members) > 4
        y = _down(canvas, members, width, y) if downwards else _across(canvas, members, width, y)
    names = "; ".join(map(" = ".join, names_of(links)))
    return Figure(width, y, canvas.parts, f"Equalities: {names}")


def chains(links: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The links in runs where each begins where the one before ended."""
    runs: list[list[Mapping[str, Any]]] = []
    for link in links:
        if runs and runs[-1][-1]["right"] == link["left"]:
            runs[-1].append(link)
        else:
            runs.append([link])
    return runs


def names_of(links: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What is compared, in order, for each run of links."""
    return [[run[0]["left"], *(link["right"] for link in run)] for run in chains(links)]


def verdict(link: Mapping[str, Any]) -> bool | None:
    """Whether a link holds; None where nothing was measured or demanded."""
    if link.get("passed") is not None:
        return bool(link["passed"])
    if link.get("difference") is None or link.get("demand") is None:
        return None
    return bool(link["difference"] <= link["demand"])


def words(link: Mapping[str, Any]) -> tuple[str, str]:
    """What was found, and what was asked."""
    difference, demand = link.get("difference"), link.get("demand")
    found = (
        "not measured"
        if difference is None
        else "bit for bit"
        if difference == 0
        else f"|Δ| {number(difference)}"
    )
    return (
        found,
        "" if demand is None else "must be exact" if demand == 0 else f"allowed {number(demand)}",
    )


def _sign(link: Mapping[str, Any]) -> tuple[str, Paint]:
    return {True: ("=", GOOD), False: ("≠", WARM), None: ("?", FAINT)}[verdict(link)]


def _node(canvas: Canvas, x: float, y: float, width: float, text: str) -> None:
    canvas.rect(x, y, width, 38, stroke=LINE, stroke_width=1.5, rx=8)
    canvas.text(
        x + width / 2, y + 24, clip(text, width - 10, 13), size=13, bold=True, anchor="middle"
    )


def _across(canvas: Canvas, members: list[Mapping[str, Any]], width: float, y: float) -> float:
    names = [members[0]["left"], *(link["right"] for link in members)]
    node = min(150.0, max(text_width(name, 13) * 1.1 for name in names) + 26)
    link_width = min(150.0, (width - node * len(names) - 4) / len(members))
    x = 2.0
    for i, name in enumerate(names):
        _node(canvas, x, y, node, name)
        if i < len(members):
            _link(canvas, members[i], x + node + link_width / 2, y + 24, link_width)
        x += node + link_width
    return y + 84


def _link(canvas: Canvas, link: Mapping[str, Any], x: float, y: float, width: float) -> None:
    sign, paint = _sign(link)
    found, asked = words(link)
    canvas.text(
        x,
        y + 4,
        sign,
        fill=paint,
        size=24,
        bold=True,
        anchor="middle",
        tip=str(link.get("note") or ""),
    )
    canvas.text(x, y + 30, found, fill=INK, anchor="middle", bold=True)
    canvas.text(x, y + 46, clip(asked, width + 20, 11), fill=SOFT, size=11, anchor="middle")


def _down(canvas: Canvas, members: list[Mapping[str, Any]], width: float, y: float) -> float:
    node = min(
        width - 4,
        max(text_width(name, 13) for name in [members[0]["left"], *(m["right"] for m in members)])
        + 40,
    )
    _node(canvas, 2, y, node, members[0]["left"])
    for link in members:
        sign, paint = _sign(link)
        canvas.text(2 + node / 2, y + 66, sign, fill=paint, size=22, bold=True, anchor="middle")
        canvas.text(2 + node / 2 + 22, y + 64, " · ".join(filter(None, words(link))), fill=SOFT)
        y += 80
        _node(canvas, 2, y, node, link["right"])
    return y + 46
