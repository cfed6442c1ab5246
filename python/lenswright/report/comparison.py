"""Two reports side by side: what they measured alike, how it differs, and how surely."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from lenswright.plots.figure import write_whole
from lenswright.plots.values import show, span
from lenswright.report import Report
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.page import document
from lenswright.report.parts import said

FORMAT = "lenswright comparison 1"
FACTS = ("model", "edit", "run")
"""Parts of a report whose facts are compared one by one; a run's time and machine are left out."""
IGNORED = {"run.started", "run.seconds", "run.machine"}


@dataclass(frozen=True)
class Difference:
    """One measure of both reports.

    verdict: "same" (equal numbers), "better" or "worse" (the right one, where the measure says
    which way is good, and the intervals of the two lie apart), "other" (they lie apart, and no way
    is good), "unclear" (the intervals meet, or one has none).
    """

    name: str
    unit: str
    left: float
    right: float
    interval_left: list[float] | None
    interval_right: list[float] | None
    better: str
    verdict: str

    @property
    def difference(self) -> float:
        """Right less left."""
        return self.right - self.left


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; `to_json` has the fields under these names.

    left, right: titles; effects: measures of both; only_left, only_right: names of the others;
    facts: {"edit.strength": (left, right)} of those that differ (None: absent).
    """

    left: str
    right: str
    effects: list[Difference] = field(default_factory=list)
    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    facts: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def to_json(self) -> str:
        """The data as JSON text."""
        data = {
            "format": FORMAT, "left": self.left, "right": self.right,
            "effects": [vars(e) | {"difference": e.difference} for e in self.effects],
            "only_left": self.only_left, "only_right": self.only_right,
            "facts": {name: {"left": a, "right": b} for name, (a, b) in self.facts.items()},
        }  # fmt: skip
        return json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n"

    def to_html(self) -> str:
        """The page: no network, nothing from elsewhere; the same data gives the same text."""
        return document("Two reports", join(_header(self), tag("main", _main(self))))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page and its JSON; return the page's path.

        `path`: a folder (comparison.html and comparison.json are written into it, it is made where
        it does not exist) or the name of an .html file (its JSON lies beside it).
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            path = path / "comparison.html"
        write_whole(path.with_suffix(".json"), self.to_json())
        return write_whole(path, self.to_html())

    def __str__(self) -> str:
        lines = [f"left:  {self.left}", f"right: {self.right}", ""]
        rows = [_row(e) for e in self.effects]
        widths = [max((len(r[i]) for r in rows), default=0) for i in range(4)]
        for row in rows:
            name, unit, left, right = (c.ljust(w) for c, w in zip(row, widths, strict=False))
            lines.append(f"  {name}  {unit}  {left}  →  {right}  {row[4]}".rstrip())
        for names, side in ((self.only_left, "left"), (self.only_right, "right")):
            lines += [f"  only {side}: {', '.join(names)}"] if names else []
        for name, (a, b) in self.facts.items():
            lines.append(f"  {name}: {said(a)} → {said(b)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        frame = "width:100%;height:60vh;min-height:360px;border:0;border-radius:8px"
        return (
            f'<iframe title="Two reports" style="{frame}" srcdoc="{escape(self.to_html())}">'
            "</iframe>"
        )


def compare(left: Report, right: Report) -> Comparison:
    """Two reports of `measure`, `ablate` or `demo`, measure by measure.

    Measures are matched by name; those of different units are not compared and stand as only left
    and only right.
    """
    first = {(e["name"], e.get("unit", "rate")): e for e in left.data.get("effects", [])}
    second = {(e["name"], e.get("unit", "rate")): e for e in right.data.get("effects", [])}
    facts_left, facts_right = dict(_facts(left)), dict(_facts(right))
    names = [*facts_left, *(name for name in facts_right if name not in facts_left)]
    return Comparison(
        left.data["title"],
        right.data["title"],
        [_difference(e, second[key]) for key, e in first.items() if key in second],
        [name for name, unit in first if (name, unit) not in second],
        [name for name, unit in second if (name, unit) not in first],
        {
            name: (facts_left.get(name), facts_right.get(name))
            for name in names
            if facts_left.get(name) != facts_right.get(name)
        },
    )


def _facts(report: Report) -> Iterator[tuple[str, Any]]:
    for part in FACTS:
        yield from (
            (name, value)
            for name, value in _flat(part, report.data.get(part, {}))
            if name not in IGNORED
        )


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(f"{name}.{key}", one)
    else:
        yield name, value


def _difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> Difference:
    a, b = left["after"], right["after"]
    one, other = left.get("interval"), right.get("interval")
    better = right.get("better") or left.get("better") or "same"
    if a == b:
        verdict = "same"
    elif not one or not other or max(min(one), min(other)) <= min(max(one), max(other)):
        verdict = "unclear"
    elif better == "same":
        verdict = "other"
    else:
        verdict = "better" if (b > a) == (better == "higher") else "worse"
    unit = left.get("unit", "rate")
    return Difference(left["name"], unit, a, b, one, other, better, verdict)


def _row(effect: Difference) -> list[str]:
    return [
        effect.name,
        "" if effect.unit == "rate" else effect.unit,
        show(effect.left, effect.unit),
        show(effect.right, effect.unit),
        effect.verdict,
    ]


def _header(found: Comparison) -> Markup:
    verdicts = [e.verdict for e in found.effects]
    counted = [f"{verdicts.count(v)} {v}" for v in ("better", "worse", "other", "unclear", "same")]
    return tag(
        "header",
        tag("h1", "Two reports"),
        tag("p", "Left: ", tag("b", found.left), class_="summary"),
        tag("p", "Right: ", tag("b", found.right), class_="summary"),
        tag("p", f"{len(verdicts)} measures in both: {', '.join(counted)}.", class_="reached"),
    )


def _interval(values: list[float] | None, unit: str) -> str:
    return span(min(values), max(values), unit) if values else "–"


def _main(found: Comparison) -> Markup:
    columns = ["measure", "unit", "left", "interval", "right", "interval", "the right one is"]
    rows = [
        [
            e.name, e.unit, show(e.left, e.unit), _interval(e.interval_left, e.unit),
            show(e.right, e.unit), _interval(e.interval_right, e.unit), tag("b", e.verdict),
        ]
        for e in found.effects
    ]  # fmt: skip
    only = [
        tag("p", f"Only the {side} one measured {', '.join(names)}.", class_="note")
        for side, names in (("left", found.only_left), ("right", found.only_right))
        if names
    ]
    note = (
        "Better and worse are said only where the two intervals lie apart; where they meet it is "
        "unclear, whatever the numbers."
    )
    facts = [[name, said(a), said(b)] for name, (a, b) in found.facts.items()]
    return join(
        tag("section", table(columns, rows, numbers=(2, 3, 4, 5)), tag("p", note, class_="note"),
            only),
        details("How they were made differently", table(["fact", "left", "right"], facts))
        if facts
        else "",
    )  # fmt: skip
