"""The pictures of a report, by name: each is drawn for the width it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lenswright import plots
from lenswright.plots.values import number, visible
from lenswright.report.parts import Part, chosen_cell, cosine, is_chosen, why

Draw = Callable[[float], plots.Figure]

MATRICES = {
    "separation": ("separation d′", "pooled standard deviations", "blue"),
    "cosine": ("cosine of the class means", "", "diverging"),
    "norm": ("length of the difference of means", "", "blue"),
    "standard_error": ("standard error of the difference", "", "violet"),
    "split_half": ("split-half cosine", "", "blue"),
}
"""The matrices of `separation`: what each is called, its unit and its scale."""

MOST_LINES = 6
"""Positions that are told apart as lines; beyond, a heat map shows them."""


def pictures(data: Part) -> dict[str, Draw]:
    """Every picture that the data has values for."""
    makers: dict[str, Callable[[Part], Draw | None]] = {
        "separation": _separation,
        "split_half": _split_half,
        "grid": _grid,
        "null": _null,
        "effects": _effects,
        "equivalence": _equivalence,
    }
    made = {name: make(data) for name, make in makers.items()}
    return {name: draw for name, draw in made.items() if draw}


def present(part: Part) -> list[str]:
    """The matrices of `separation` that are there; the first is the one drawn."""
    return [name for name in MATRICES if part.get(name) is not None]


def _sides(part: Part) -> dict[str, Any]:
    names = {"row_name": "token", "column_name": "layer"}
    return {"rows": part["positions"], "columns": part["layers"], **names}


def _separation(data: Part) -> Draw | None:
    part = data.get("separation", {})
    names = present(part)
    if not names:
        return None
    title, unit, scale = MATRICES[names[0]]
    low = 0.0 if names[0] in ("separation", "norm", "standard_error") else None
    panel = plots.Panel(
        part[names[0]],
        title=title,
        unit=unit,
        scale=scale,
        low=low,
        marked=chosen_cell(data, part),
        tips=_tips(part, names[1:]),
    )
    return lambda width: plots.heatmaps([panel], width=width, **_sides(part))


def _tips(part: Part, names: list[str]) -> list[list[str]]:
    """What a cell's tooltip says beside the colour's value."""
    error = part.get("standard_error")

    def line(name: str, r: int, c: int) -> str:
        value, title = part[name][r][c], MATRICES[name][0]
        if value is None or name == "standard_error":
            return ""
        if "cosine" in title:
            return f"{title} {cosine(value)}"
        within = error[r][c] if error and name == "norm" else None
        return f"{title} {number(value)}" + (f" ± {number(within)}" if within is not None else "")

    def cell(r: int, c: int) -> str:
        return "\n".join(filter(None, (line(name, r, c) for name in names)))

    return [[cell(r, c) for c in range(len(part["layers"]))] for r in range(len(part["positions"]))]


def _split_half(data: Part) -> Draw | None:
    """Lines over layers, or a heat map where they would be too many."""
    part = data.get("separation", {})
    values = part.get("split_half")
    if values is None or present(part)[0] == "split_half":
        return None
    title = MATRICES["split_half"][0]
    distinct = len(set(map(visible, part["positions"]))) == len(values) <= MOST_LINES
    if not distinct or len(part["layers"]) < 2:
        return lambda width: plots.heatmap(values, title=title, width=width, **_sides(part))
    series = {visible(p): row for p, row in zip(part["positions"], values, strict=True)}
    least = min((v for row in values for v in row if v is not None), default=0.0)
    low = max(-1.0, least - 0.1 * (1 - least) - 1e-3)
    names: dict[str, Any] = {"x": part["layers"], "x_name": "layer", "y_name": title}
    return lambda width: plots.lines(series, width=width, height=212, low=low, high=1.0, **names)


def _grid(data: Part) -> Draw | None:
    grid = data.get("grid", {})
    score = grid.get("score", "score")
    wording = {"bypass": score, "induce": score, "kl": "nats"}
    cells: dict[str, Any] = {"hatched": grid.get("dropped")}
    panels = []
    for metric, unit in wording.items():
        if grid.get(metric):
            cells["marked"] = chosen_cell(data, grid)
            scale = _kl_scale(grid) if metric == "kl" else _score_scale(grid)
            title = "KL" if metric == "kl" else metric
            panels.append(plots.Panel(grid[metric], title=title, unit=unit, **scale, **cells))
    return (lambda width: plots.heatmaps(panels, width=width, **_sides(grid))) if panels else None


def _score_scale(grid: Part) -> dict[str, Any]:
    """Bypass and induce share one scale around 0, as far as the largest score of either sign."""
    rows = [row for metric in ("bypass", "induce") for row in grid.get(metric) or []]
    reach = max((abs(v) for row in rows for v in row if v is not None), default=1.0) or 1.0
    return {"scale": "diverging", "low": -reach, "high": reach}


def _kl_scale(grid: Part) -> dict[str, Any]:
    """From 0, or by ratios where the values span more than a factor of 50."""
    above = [v for row in grid["kl"] for v in row if v is not None and v > 0]
    wide = bool(above) and max(above) > 50 * min(above)
    return {"scale": "violet", "log": wide, "low": None if wide else 0.0}


def _null(data: Part) -> Draw | None:
    """The chosen direction on one axis with random ones and the other candidates."""
    grid = data.get("grid", {})
    null = grid.get("null", {})
    if not null.get("values"):
        return None
    metric = null.get("metric", "bypass")
    groups = {"random directions": null["values"]}
    for label, kept in (("other candidates, kept", True), ("candidates, dropped", False)):
        groups |= {label: found} if (found := _candidates(grid, metric, kept)) else {}
    cell, marks = chosen_cell(data, grid), []
    baseline = grid.get("baseline", {}).get(metric)
    if baseline is not None:
        marks.append(("no edit", baseline, "ink"))
    if cell and grid.get(metric) and grid[metric][cell[0]][cell[1]] is not None:
        marks.append(("chosen", grid[metric][cell[0]][cell[1]], "accent"))
    name = "KL, nats" if metric == "kl" else metric
    return lambda width: plots.strip(groups, marks=marks, name=name, width=width)


def _candidates(grid: Part, metric: str, kept: bool) -> list[float]:
    """The metric of the candidates that were kept, or dropped; the chosen one is left out."""
    return [
        value
        for r, row in enumerate(grid.get(metric) or [])
        for c, value in enumerate(row)
        if value is not None and not is_chosen(grid, r, c) and bool(why(grid, r, c)) != kept
    ]


def _effects(data: Part) -> Draw | None:
    rows = by_unit(data)
    return (lambda width: plots.effects(rows, width=width)) if rows else None


def by_unit(data: Part) -> list[Part]:
    """The effects with those of one unit together, units in the order they first come."""
    rows = data.get("effects", [])
    units = list(dict.fromkeys(row.get("unit", "rate") for row in rows))
    return sorted(rows, key=lambda row: units.index(row.get("unit", "rate")))


def _equivalence(data: Part) -> Draw | None:
    links = data.get("equivalence", {}).get("comparisons")
    return (lambda width: plots.chain(links, width=width)) if links else None
