"""Measure: what the edit did, what it broke, and the texts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenswright.plots.effects_row import against_null
from lenswright.plots.values import show, span
from lenswright.report.glossary import glossary
from lenswright.report.html import Markup, details, join, table, tag
from lenswright.report.parts import Part, change, picture
from lenswright.report.pictures import Draw, by_unit

FIRST = 4
"""How many texts of each kind are shown before the rest folds away."""


def section(data: Part, draws: dict[str, Draw]) -> Markup:
    """The effects with their intervals and nulls, then texts before and after."""
    parts: list[Any] = []
    if "effects" in draws:
        on = f"Measured on {data['measured_on']}. " if data.get("measured_on") else ""
        caption = (
            f"{on}The bar is the interval of the value after the edit; the short strokes are the "
            "same measure under random directions of equal norm."
        )
        parts += [_lede(data["effects"]), picture(draws["effects"], caption)]
        parts.append(details("All numbers", _numbers(by_unit(data))))
        parts.append(glossary(data["effects"]))
    if data.get("texts"):
        parts += [tag("h3", "The texts themselves"), _texts(data["texts"])]
    return join(parts)


def _lede(rows: Sequence[Part]) -> Markup:
    first = rows[0]
    versus = against_null(first)
    beside = ""
    if versus and first.get("before") is not None:
        count, total = versus
        beside = f" {count or 'None'} of {total} random directions moved it as far."
    prompts = f" on {first['n']:,} prompts" if first.get("n") is not None else ""
    return tag(
        "p",
        f"{first['name'][:1].upper()}{first['name'][1:]}: ",
        tag("b", change(first)),
        f"{prompts}.{beside}",
        class_="lede",
    )


def _range(values: Any, unit: str) -> str:
    if not values:
        return "–"
    return span(min(values), max(values), unit)


def _numbers(rows: Sequence[Part]) -> Markup:
    columns = [
        "measure", "unit", "before", "after", "interval", "p", "random", "moved it as far", "n",
        "",
    ]  # fmt: skip
    body = []
    for row in rows:
        unit = row.get("unit", "rate")
        versus = against_null(row)
        body.append(
            [
                row["name"],
                unit,
                show(row.get("before"), unit),
                show(row["after"], unit),
                _range(row.get("interval"), unit),
                f"{row['p']:.2g}" if row.get("p") is not None else "–",
                _range(row.get("null"), unit),
                f"{versus[0]} of {versus[1]}" if versus else "–",
                f"{row['n']:,}" if row.get("n") is not None else "–",
                row.get("note", ""),
            ]
        )
    if not any(row[-1] for row in body):
        columns, body = columns[:-1], [row[:-1] for row in body]
    return table(columns, body, numbers=tuple(range(2, 9)))


def _texts(texts: Sequence[Part]) -> Markup:
    kinds = list(dict.fromkeys(text.get("kind", "") for text in texts))
    parts = []
    for kind in kinds:
        members = [text for text in texts if text.get("kind", "") == kind]
        columns = _columns(members)
        head = tag("h4", kind) if kind else ""
        parts += [head, _text_table(members[:FIRST], columns)]
        if len(members) > FIRST:
            rest = members[FIRST:]
            parts.append(details(f"{len(rest)} more", _text_table(rest, columns)))
    return join(parts)


def _columns(texts: Sequence[Part]) -> dict[str, str]:
    """Which answers to show and what their column is called; tried and baked share one where they
    are the same.
    """
    present = [
        key
        for key in ("before", "after", "tried", "baked")
        if any(t.get(key) is not None for t in texts)
    ]
    same = all(_text(t.get("tried")) == _text(t.get("baked")) for t in texts)
    if "tried" in present and "baked" in present and same:
        present.remove("baked")
        return {key: "tried = baked" if key == "tried" else key for key in present}
    return {key: key for key in present}


def _text(answer: Any) -> Any:
    return answer.get("text") if isinstance(answer, dict) else answer


def _text_table(texts: Sequence[Part], columns: dict[str, str]) -> Markup:
    expected = any(text.get("expected") is not None for text in texts)
    names = ["prompt", *(["expected"] if expected else []), *columns.values()]
    rows: list[list[Any]] = []
    for text in texts:
        row: list[Any] = [tag("span", text["prompt"], class_="text")]
        if expected:
            row.append(tag("span", text.get("expected", "–"), class_="text soft"))
        rows.append(row + [_answer(text.get(key)) for key in columns])
    return table(names, rows, class_="texts")


def _answer(answer: Any) -> Markup:
    if answer is None:
        return join("–")
    if isinstance(answer, str):
        return tag("span", answer, class_="text")
    badges = []
    if answer.get("refused") is not None:
        word = "declined" if answer["refused"] else "answered"
        badges.append(tag("span", word, class_="badge bad" if answer["refused"] else "badge"))
    if answer.get("true") is not None and not answer.get("refused"):
        badges.append(
            tag(
                "span",
                "✓ true" if answer["true"] else "✗ not true",
                class_=f"badge {'good' if answer['true'] else 'bad'}",
            )
        )
    return join(
        tag("span", answer["text"] or "(nothing)", class_="text"),
        tag("span", badges, class_="badges") if badges else "",
    )
