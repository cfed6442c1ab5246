"""Try: every candidate direction as an intervention, and which one was chosen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lenswright.plots.values import number, visible
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import Part, chosen_cell, classes, is_chosen, picture, place, why
from lenswright.report.pictures import Draw

METRICS = ("bypass", "induce", "kl", "cosmic")


def counts(grid: Part) -> tuple[int, int]:
    """How many candidates were kept, of how many."""
    places = _places(grid)
    return sum(not why(grid, r, c) for r, c in places), len(places)


def section(data: Part, draws: dict[str, Draw]) -> Markup:
    """The candidate grid, the chosen one beside random directions, and the numbers."""
    grid = data.get("grid")
    if not grid:
        return join()
    cell = chosen_cell(data, grid)
    fallback = tag("b", "Fallback. "), grid.get("fallback")
    return join(
        _lede(grid, cell),
        tag("p", fallback, class_="callout") if grid.get("fallback") else "",
        picture(draws["grid"], _caption(data, grid, cell)) if "grid" in draws else "",
        picture(draws["null"], _null_caption(grid)) if "null" in draws else "",
        tag("p", grid["note"], class_="note") if grid.get("note") else "",
        _front(grid),
        details("All candidates", _numbers(grid, _places(grid))),
    )


def _caption(data: Part, grid: Part, cell: tuple[int, int] | None) -> Markup:
    positive, negative = classes(data)
    return join(
        f"Each cell is one candidate direction. Bypass: the score of {positive} prompts with the "
        f"direction taken out of the run (low, blue, is better). Induce: that of {negative} "
        "prompts with it added (high, orange, is better). KL: how far the next-token distribution "
        f"on {negative} prompts moves when it is taken out (low is better). ",
        "Hatched: dropped. " if any(map(any, grid.get("dropped", []))) else "",
        "Outlined: chosen." if cell else "",
    )


def _null_caption(grid: Part) -> str:
    metric = grid["null"].get("metric", "bypass")
    name = "KL" if metric == "kl" else f"{metric.capitalize()}: {grid.get('score', 'score')}"
    count = len(grid["null"]["values"])
    return f"{name}, under the chosen direction and under {count} random ones of equal norm."


def _lede(grid: Part, cell: tuple[int, int] | None) -> Markup:
    kept, total = counts(grid)
    reasons = Counter(why for row in grid.get("dropped", []) for why in row if why)
    common = reasons.most_common(4)
    listed = [f"{count} × {why}" for why, count in common]
    others = sum(reasons.values()) - sum(count for _, count in common)
    listed += [f"{others} for other reasons"] if others else []
    out = f" ({'; '.join(listed)})" if listed else ""
    where = join(" None was chosen. ")
    if cell:
        where = join(" Chosen: ", tag("b", place(grid, cell[0], grid["layers"][cell[1]])), ". ")
    return tag(
        "p",
        f"No weight has changed yet: {total} directions were tried as interventions, ",
        tag("b", f"{kept} kept"),
        f", {total - kept} dropped{out}.",
        where,
        grid.get("rule", ""),
        class_="lede",
    )


def _places(grid: Part) -> list[tuple[int, int]]:
    return [(r, c) for r in range(len(grid["positions"])) for c in range(len(grid["layers"]))]


def _front(grid: Part) -> Markup:
    """The candidates between which no rule but taste decides."""
    front = [(r, c) for r, c in _places(grid) if grid.get("front") and grid["front"][r][c]]
    if not front:
        return join()
    metric = grid.get("bypass")
    if metric:
        front.sort(key=lambda place: metric[place[0]][place[1]])
    said = (
        f"The Pareto front: {len(front)} candidates, each of them better at bypass, induce or KL "
        "than any other that is no worse at the rest."
    )
    return join(tag("p", said, class_="note"), _numbers(grid, front))


def _numbers(grid: Part, places: list[tuple[int, int]]) -> Markup:
    present = [m for m in METRICS if grid.get(m)]
    rows: list[list[Any]] = []
    for r, c in places:
        position, layer = grid["positions"][r], grid["layers"][c]
        shown = [number(grid[m][r][c]) for m in present]
        state = tag("b", "chosen") if is_chosen(grid, r, c) else why(grid, r, c) or "kept"
        rows.append([tag("code", visible(position)), layer, *shown, state])
    columns = ["token", "layer", *("KL" if m == "kl" else m for m in present), "state"]
    return table(columns, rows, numbers=tuple(range(1, 2 + len(present))))
