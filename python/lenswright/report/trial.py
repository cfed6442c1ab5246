"""Try: every candidate direction as an intervention, and which one was chosen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lenswright import plots
from lenswright.plots.heat_scale import Panel
from lenswright.plots.values import number, visible
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import Part, chosen_cell, classes, picture, place

METRICS = ("bypass", "induce", "kl")


def values_of(grid: Part, metric: str, kept: bool) -> list[float]:
    """The metric of the candidates that were kept, or dropped; the chosen one is left out."""
    return [
        value
        for r, row in enumerate(grid.get(metric) or [])
        for c, value in enumerate(row)
        if value is not None and not _is_chosen(grid, r, c) and bool(_why(grid, r, c)) != kept
    ]


def counts(grid: Part) -> tuple[int, int]:
    """How many candidates were kept, of how many."""
    places = [(r, c) for r in range(len(grid["positions"])) for c in range(len(grid["layers"]))]
    return sum(not _why(grid, r, c) for r, c in places), len(places)


def section(data: Part) -> Markup:
    """The candidate grid, the chosen one beside random directions, and the numbers."""
    grid = data.get("grid")
    if not grid:
        return join()
    positive, negative = classes(data)
    score = grid.get("score", "score")
    cell = chosen_cell(data, grid)
    wording = {
        "bypass": ("bypass", score, "diverging"),
        "induce": ("induce", score, "diverging"),
        "kl": ("KL", "nats", "violet"),
    }
    reach = _reach(grid)
    panels = [
        _panel(grid, metric, *wording[metric], cell, reach)
        for metric in METRICS
        if grid.get(metric)
    ]
    names = {
        "rows": grid["positions"],
        "columns": grid["layers"],
        "row_name": "token",
        "column_name": "layer",
    }
    caption = join(
        f"Each cell is one candidate direction. Bypass: the score of {positive} prompts with the "
        f"direction taken out of the run (low, blue, is better). Induce: that of {negative} "
        "prompts with it added (high, orange, is better). KL: how far the next-token distribution "
        f"on {negative} prompts moves when it is taken out (low is better). ",
        "Hatched: dropped. " if any(map(any, grid.get("dropped", []))) else "",
        "Outlined: chosen." if cell else "",
    )
    return join(
        _lede(data, grid, cell),
        tag("p", tag("b", "Fallback. "), grid["fallback"], class_="callout")
        if grid.get("fallback")
        else "",
        picture(lambda width: plots.heatmaps(panels, width=width, **names), caption)
        if panels
        else "",
        _beside_null(grid, cell, score),
        tag("p", grid["note"], class_="note") if grid.get("note") else "",
        details("All candidates", _numbers(grid)),
    )


def _is_chosen(grid: Part, r: int, c: int) -> bool:
    chosen = grid.get("chosen")
    return chosen is not None and (chosen["position"], chosen["layer"]) == (r, grid["layers"][c])


def _why(grid: Part, r: int, c: int) -> str:
    dropped = grid.get("dropped")
    return (dropped[r][c] if dropped else "") or ""


def _reach(grid: Part) -> float:
    """The largest score of either sign: bypass and induce share one scale around 0."""
    scores = [
        abs(v)
        for m in ("bypass", "induce")
        for row in grid.get(m) or []
        for v in row
        if v is not None
    ]
    return max(scores, default=1.0) or 1.0


def _panel(
    grid: Part,
    metric: str,
    title: str,
    unit: str,
    scale: str,
    cell: tuple[int, int] | None,
    reach: float,
) -> Panel:
    common: dict[str, Any] = {
        "title": title,
        "unit": unit,
        "scale": scale,
        "marked": cell,
        "hatched": grid.get("dropped"),
    }
    if scale == "diverging":
        return Panel(grid[metric], low=-reach, high=reach, **common)
    present = [v for row in grid[metric] for v in row if v is not None and v > 0]
    wide = bool(present) and max(present) / min(present) > 50
    return Panel(grid[metric], log=wide, low=None if wide else 0.0, **common)


def _lede(data: Part, grid: Part, cell: tuple[int, int] | None) -> Markup:
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


def _beside_null(grid: Part, cell: tuple[int, int] | None, score: str) -> Markup:
    """The chosen direction on one axis with random ones and the other candidates."""
    null = grid.get("null", {})
    metric = null.get("metric", "bypass")
    if not null.get("values"):
        return join()
    groups = {"random directions": null["values"]}
    for label, kept in (("other candidates, kept", True), ("candidates, dropped", False)):
        found = values_of(grid, metric, kept)
        if found:
            groups[label] = found
    marks = []
    baseline = grid.get("baseline", {}).get(metric)
    if baseline is not None:
        marks.append(("no edit", baseline, "ink"))
    if cell and grid.get(metric) and grid[metric][cell[0]][cell[1]] is not None:
        marks.append(("chosen", grid[metric][cell[0]][cell[1]], "accent"))
    name = f"{metric}: {score}" if metric != "kl" else "KL, nats"
    caption = (
        f"{name[:1].upper()}{name[1:]}, under the chosen direction and under "
        f"{len(null['values'])} random ones of equal norm."
    )
    return picture(
        lambda width: plots.strip(groups, marks=marks, name=metric, width=width), caption
    )


def _numbers(grid: Part) -> Markup:
    present = [m for m in METRICS if grid.get(m)]
    rows: list[list[Any]] = []
    for r, position in enumerate(grid["positions"]):
        for c, layer in enumerate(grid["layers"]):
            shown = [number(grid[m][r][c]) for m in present]
            state = tag("b", "chosen") if _is_chosen(grid, r, c) else _why(grid, r, c) or "kept"
            rows.append([tag("code", visible(position)), layer, *shown, state])
    columns = ["token", "layer", *("KL" if m == "kl" else m for m in present), "state"]
    return table(columns, rows, numbers=tuple(range(1, 2 + len(present))))
