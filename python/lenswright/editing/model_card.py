"""What a committed folder tells people of its edit, and programs of what was measured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.editing.method_words import SETTINGS, WORDS, name_of, unscaled
from lenswright.plots.values import show, span

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.report import Report

_UNTOLD = (
    "KL(edited‖base)", "first-token KL(base‖edited)", "agreement", "length",
    "length of the reasoning",
)  # fmt: skip
"""Measures that only lenswright.json has."""


def card_and_figures(
    edit: Edit, source: str | os.PathLike[str], journal: bool, measured: Report | None
) -> tuple[str, str]:
    """A section for the model card in Markdown, and JSON for lenswright.json ("" for none)."""
    data = {} if measured is None else measured.data
    figures = json.dumps(_figures(data)) if data else ""
    return "\n".join(_section(edit, Path(source).absolute().name, journal, data)) + "\n", figures


def _figures(data: Mapping[str, Any]) -> dict[str, Any]:
    run = data.get("run", {})
    effects = []
    for effect in data.get("effects", []):
        keys = ("name", "unit", "n", "before", "after", "interval", "interval_kind", "p")
        row = {key: effect[key] for key in keys if key in effect}
        if effect.get("null"):
            row["random"] = {
                "directions": len(effect["null"]), "least": min(effect["null"]),
                "greatest": max(effect["null"]),
            }  # fmt: skip
        effects.append(row)
    return {
        "title": data["title"], "prompts": run.get("prompts", {}),
        "sha256": run.get("sha256", {}), "effects": effects,
    }  # fmt: skip


def _section(edit: Edit, name: str, journal: bool, data: Mapping[str, Any]) -> Iterator[str]:
    made = edit.provenance
    lines = edit.describe()
    edited = [line for line in lines if line["edited"]]
    yield "## Edited with Lenswright"
    yield ""
    yield (
        f"The weights of `{name}` after an edit of {len(edited)} of the {len(lines)} tensors that "
        "write to its residual stream. What its makers measured and promised of it was of the "
        "unedited weights."
    )
    yield ""
    yield from _table(["", ""], [[name, text] for name, text in _facts(made, edited, lines)])
    if data.get("effects"):
        yield ""
        yield from _measured(data)
    yield ""
    yield (
        "`lenswright.json` holds the edit whole, and SHA-256 of every tensor before and after: "
        "`lenswright verify THIS --edit --base ORIGINAL` makes each edited tensor again."
        + (" `lenswright revert THIS --out FOLDER` brings the original back bit for bit."
           if journal else "")
    )  # fmt: skip


def _facts(
    made: Mapping[str, Any], edited: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    inner = unscaled(made)
    name = name_of(inner)
    yield "method", name
    if name in WORDS:
        yield "formula", str(WORDS[name])
    for setting in ("strength", *SETTINGS.get(name, ())):
        if setting in inner:
            yield setting, json.dumps(inner[setting]).strip('"')
    direction = inner.get("direction") or {}
    if direction.get("point"):
        yield "direction", f"`{direction['point']}`, position {direction.get('position')!r}"
    yield "what", "; ".join(dict.fromkeys(line["what"] for line in edited)) or "nothing"
    for role in ("fit", "select"):
        if role in made:
            yield f"prompts to {role}", f"SHA-256 `{made[role].get('sha256', '')}`"
    left = dict.fromkeys(line["what"] for line in lines if not line["edited"])
    if left:
        yield "left alone", "; ".join(left)
    for remark in inner.get("remarks", []):
        yield "remark", str(remark)


def _measured(data: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for effect in data["effects"]:
        if effect["name"].partition(", ")[0] in _UNTOLD:
            continue
        unit, null, ends = effect.get("unit", "rate"), effect.get("null"), effect.get("interval")
        rows.append([
            effect["name"], show(effect.get("before"), unit), show(effect["after"], unit),
            span(min(ends), max(ends), unit) if ends else "–",
            span(min(null), max(null), unit) if null else "–",
        ])  # fmt: skip
    if not rows:
        return
    yield (
        f"{data['title']}. Measured on prompts that had no part in making the edit, with 95 % "
        "intervals, beside random directions taken out in the same way:"
    )
    yield ""
    yield from _table(["measure", "before", "after", "interval", "random"], rows)


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
