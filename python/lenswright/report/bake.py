"""Bake: that the weights now hold what was tried, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenswright.plots.chain import names_of, verdict
from lenswright.plots.chain import words as found_and_asked
from lenswright.plots.values import number
from lenswright.report.html import Markup, details, dotted, join, table, tag
from lenswright.report.parts import Part, facts, mark, picture
from lenswright.report.pictures import Draw

FIRST = 12
"""How many writers are shown before the rest folds away."""


def largest(data: Part) -> float | None:
    """The largest difference of the chain, where any was measured."""
    links = data.get("equivalence", {}).get("comparisons", [])
    return max(
        (link["difference"] for link in links if link.get("difference") is not None), default=None
    )


def section(data: Part, draws: dict[str, Draw]) -> Markup:
    """The chain of equalities, what happened to each writer, the hashes."""
    part = data.get("equivalence", {})
    links = part.get("comparisons", [])
    parts: list[Any] = []
    if links:
        parts += [_lede(links, part)]
        measure = part.get("measure", "largest difference between the two runs")
        caption = f"{measure[:1].upper()}{measure[1:]}. “Bit for bit” means that it is 0."
        parts.append(picture(draws["equivalence"], caption))
        rows = [
            [
                f"{link['left']} = {link['right']}",
                *found_and_asked(link),
                mark(verdict(link)),
                link.get("note", ""),
            ]
            for link in links
        ]
        parts.append(
            details("All numbers", table(["comparison", "found", "asked", "", "note"], rows))
        )
    if data.get("edit"):
        parts += [tag("h3", "The edit"), facts(data["edit"])]
    if data.get("writers"):
        parts += [tag("h3", "What it does to each writer"), _writers(data["writers"])]
    if part.get("facts"):
        parts += [tag("h3", "What was written"), facts(part["facts"])]
    if part.get("hashes"):
        hashes = [[name, tag("code", value)] for name, value in part["hashes"].items()]
        parts.append(
            details("Hashes (SHA-256)", table(["what", "SHA-256"], hashes, class_="hashes"))
        )
    return join(parts)


def _lede(links: Sequence[Part], part: Part) -> Markup:
    broken = [link for link in links if verdict(link) is False]
    if broken:
        pairs = "; ".join(f"{link['left']} and {link['right']}" for link in broken)
        return tag("p", tag("b", "These differ by more than they may: "), pairs, ".", class_="lede")
    names = "; ".join(map(" = ".join, names_of(links)))
    if not any(verdict(link) for link in links):
        return tag("p", f"Compared, but held against no demand: {names}.", class_="lede")
    exact = sum(link.get("difference") == 0 for link in links)
    tail = f" ({exact} of {len(links)} comparisons bit for bit)" if exact else ""
    open_ = sum(verdict(link) is None for link in links)
    unknown = f" {open_} not judged." if open_ else ""
    return tag(
        "p",
        "The same behaviour on every path: ",
        tag("b", names),
        f"{tail}.{unknown}",
        class_="lede",
    )


def _writers(writers: Sequence[Part]) -> Markup:
    """A table with a bar for each writer's change; the greatest first where there are many."""
    top = max((w["change"] for w in writers if w.get("change") is not None), default=0.0) or 1.0
    shown = list(writers)
    if len(shown) > FIRST:
        shown.sort(key=lambda w: -(w.get("change") or 0.0))
    edited = sum(bool(w.get("edited", True)) for w in writers)
    text = (
        f"{edited} of {len(writers)} tensors that write to the residual stream were edited. "
        "Change is |W′\u00a0−\u00a0W|\u00a0/\u00a0|W|; "
        "along the direction is |vᵀW|\u00a0/\u00a0|W| before and after."
    )
    parts = [tag("p", text, class_="note"), _writer_table(shown[:FIRST], top)]
    if len(shown) > FIRST:
        rest = _writer_table(shown[FIRST:], top)
        parts.append(details(f"{len(shown) - FIRST} more", rest))
    return join(parts)


def _writer_table(writers: Sequence[Part], top: float) -> Markup:
    rows: list[list[Any]] = []
    for writer in writers:
        share = max(0.0, min(1.0, (writer.get("change") or 0.0) / top))
        bar = tag(
            "span", tag("span", style=f"width:{share * 100:.1f}%"), class_="bar", aria_hidden="true"
        )
        change = tag("span", number(writer.get("change")), bar, class_="barred")
        state: list[Any] = (
            [] if writer.get("edited", True) else [tag("span", "not edited", class_="badge")]
        )
        state += [writer["note"]] if writer.get("note") else []
        along = f"{number(writer.get('along_before'))} → {number(writer.get('along_after'))}"
        rows.append([dotted(writer["name"]), change, along, tag("span", state)])
    columns = ["writer", "change", "along the direction", ""]
    if not any(w.get("note") or not w.get("edited", True) for w in writers):
        columns, rows = columns[:3], [row[:3] for row in rows]
    return table(columns, rows, numbers=(2,), class_="writers")
