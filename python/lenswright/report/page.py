"""The page of a run: one file, nothing fetched, readable without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from lenswright.plots.colour import dark_rules
from lenswright.plots.values import THIN, number, visible
from lenswright.report import bake, effect, look, trial
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import Part, change, facts, mark, said
from lenswright.report.pictures import pictures
from lenswright.report.style import SCRIPT, STYLE

SECTIONS = (
    ("look", "where the two classes part", look.section),
    ("try", "each direction as an intervention", trial.section),
    ("measure", "what it did, and what it broke", effect.section),
    ("bake", "the same edit, in the weights", bake.section),
)


def page(data: Part) -> str:
    """The HTML of checked report data. The same data gives the same bytes."""
    draws = pictures(data)
    drawn = [(name, under, write(data, draws)) for name, under, write in SECTIONS]
    shown = [entry for entry in drawn if entry[2]]
    sections = [
        tag("section", _heading(name.capitalize(), under), content, id=name)
        for name, under, content in shown
    ]
    body = join(
        _header(data, [name for name, _, _ in shown]),
        tag("main", sections, _criteria(data), _notes(data), _run(data)),
        tag("footer", "Made with Lenswright. The JSON file beside this page holds its numbers."),
        tag("div", id="tip", hidden=""),
    )
    return document(_name(data), body)


def document(title: str, body: Markup) -> str:
    """A whole page around its body: style, the one script, and no way to load anything."""
    style = STYLE.replace("/*dark figures*/", dark_rules([body]))
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    # Whatever a prompt holds, the browser runs this one script and loads nothing.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    script = tag("script", Markup(SCRIPT))
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}{script}</body></html>\n'
    )


def _name(data: Part) -> str:
    model = data.get("model", {}).get("name")
    return f"{model}: {data['title']}" if model else str(data["title"])


def _heading(title: str, under: str) -> Markup:
    return tag("h2", title, tag("span", under, class_="under"))


def _kept_together(text: str) -> str:
    """Numbers stay on a line with their percent sign."""
    return re.sub(r"(\d) %", f"\\1{THIN}%", text)


def _header(data: Part, present: list[str]) -> Markup:
    model, run = data.get("model", {}), data.get("run", {})
    line = [model[key] for key in ("name", "family") if model.get(key)]
    line += [f"{model['parameters']:,} parameters"] if model.get("parameters") is not None else []
    line += [f"{model['layers']} layers"] if model.get("layers") is not None else []
    line += [f"d_model {model['d_model']}"] if model.get("d_model") is not None else []
    line += [model["dtype"]] if model.get("dtype") else []
    line += [f"seed {run['seed']}"] if run.get("seed") is not None else []
    return tag(
        "header",
        tag("p", " · ".join(str(part) for part in line), class_="facts-line") if line else "",
        tag("h1", _kept_together(data["title"])),
        tag("p", _kept_together(data["summary"]), class_="summary") if data.get("summary") else "",
        _at_a_glance(data, present),
        _reached(data),
    )


def _at_a_glance(data: Part, present: list[str]) -> Markup:
    """The four verbs with one number each; each leads to its section."""
    tiles = {"look": _look_tile, "try": _try_tile, "measure": _measure_tile, "bake": _bake_tile}
    links = []
    for name in present:
        value, text = tiles[name](data)
        links.append(
            tag(
                "a",
                tag("span", name, class_="verb"),
                tag("span", value, class_="value"),
                tag("span", text, class_="what"),
                href=f"#{name}",
            )
        )
    return tag("nav", links, aria_label="Sections") if links else join()


def _look_tile(data: Part) -> tuple[Any, Any]:
    found, part = look.best(data), data["separation"]
    if not found:
        return "–", "not measured"
    where = (
        f"separation at layer {part['layers'][found[1]]}, {visible(part['positions'][found[0]])}"
    )
    return f"d′ {number(found[2])}", where


def _try_tile(data: Part) -> tuple[Any, Any]:
    grid = data["grid"]
    kept, total = trial.counts(grid)
    chosen, bypass = grid.get("chosen"), grid.get("bypass")
    if not chosen or not bypass:
        return f"{kept} of {total}", "candidate directions kept"
    value = bypass[chosen["position"]][grid["layers"].index(chosen["layer"])]
    before = grid.get("baseline", {}).get("bypass")
    shown = f"{number(before)} → {number(value)}" if before is not None else number(value)
    return shown, f"{grid.get('score', 'bypass score')}; {kept} of {total} candidates kept"


def _measure_tile(data: Part) -> tuple[Any, Any]:
    if not data.get("effects"):
        return len(data["texts"]), "texts before and after"
    return change(data["effects"][0]), data["effects"][0]["name"]


def _bake_tile(data: Part) -> tuple[Any, Any]:
    largest = bake.largest(data)
    if largest is None:
        return len(data.get("writers", [])) or "–", "writers"
    return (
        "exact" if largest == 0 else f"|Δ| {number(largest)}"
    ), "largest difference, tried to baked"


def _reached(data: Part) -> Markup:
    """How many demands were met; those that were not are named here already."""
    rows = data.get("criteria", [])
    if not rows:
        return join()
    reached = sum(row.get("passed") is True for row in rows)
    count = f"All {reached}" if reached == len(rows) else f"{reached} of {len(rows)}"
    parts: list[Any] = [tag("a", f"{count} criteria reached", href="#criteria")]
    for passed, word in ((False, "Not reached"), (None, "Not measured")):
        names = [row["name"] for row in rows if row.get("passed") is passed]
        parts += [f". {word}: {', '.join(names)}"] if names else []
    return tag("p", parts, ".", class_="reached")


def _criteria(data: Part) -> Markup:
    rows = data.get("criteria", [])
    if not rows:
        return join()
    body = [
        [
            row["name"],
            row.get("demand", "–"),
            said(row.get("reached")),
            mark(row.get("passed")),
            row.get("note", ""),
        ]
        for row in rows
    ]
    columns = ["criterion", "demand", "reached", "verdict", "note"]
    if not any(row.get("note") for row in rows):
        columns, body = columns[:4], [row[:4] for row in body]
    title = _heading("Criteria", "what was demanded, what was reached")
    return tag("section", title, table(columns, body, class_="criteria"), id="criteria")


def _notes(data: Part) -> Markup:
    if not data.get("notes"):
        return join()
    return tag(
        "section",
        tag("h2", "Notes"),
        [tag("p", note, class_="prose") for note in data["notes"]],
        id="notes",
    )


def _run(data: Part) -> Markup:
    """Everything needed to make the run again."""
    run = dict(data.get("run", {}))
    if not run and not data.get("model"):
        return join()
    versions, prompts = run.pop("versions", {}), run.pop("prompts", {})
    seconds, hashes = run.pop("seconds", None), run.pop("sha256", {})
    listed: dict[str, Any] = {
        "model " + key: value for key, value in data.get("model", {}).items()
    } | run
    listed |= {"time": f"{number(seconds)} s"} if seconds is not None else {}
    listed |= {f"prompts to {key}": value for key, value in prompts.items()}
    listed |= {f"SHA-256 of prompts to {key}": value for key, value in hashes.items()} | versions
    return details("How this was made", facts(listed))
