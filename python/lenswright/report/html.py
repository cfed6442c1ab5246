"""HTML that cannot be broken by what it shows: text is escaped unless it is `Markup`, which only
this package makes.
"""

from __future__ import annotations

from html import escape
from typing import Any

from lenswright.plots.values import printable

_VOID = {"br", "hr", "meta"}


class Markup(str):
    """Text that already is HTML."""


def words(text: object) -> Markup:
    """Any value as escaped text; what cannot or must not be printed is made visible, line breaks
    are kept.
    """
    shown = "".join(
        c if c in "\n\t" or printable(c) else f"\\u{ord(c):04x}"
        for c in str(text).replace("\r\n", "\n")
    )
    return Markup(escape(shown))


def join(*children: Any) -> Markup:
    """Children one after the other: `Markup` as it is, lists item by item, None and "" not at all,
    the rest escaped.
    """
    parts: list[str] = []
    for child in children:
        if child is None or child == "":
            continue
        if isinstance(child, (list, tuple)):
            parts.append(join(*child))
        else:
            parts.append(child if isinstance(child, Markup) else words(child))
    return Markup("".join(parts))


def tag(name: str, /, *children: Any, **attributes: str) -> Markup:
    """One element; attribute names lose a last `_` and take `-` for `_`; no empty classes."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{words(value)}"'
        for key, value in attributes.items()
        if value or key != "class_"
    )
    body = join(*children)
    return Markup(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{body}</{name}>")


def table(
    columns: list[str], rows: list[list[Any]], *, numbers: tuple[int, ...] = (), class_: str = ""
) -> Markup:
    """A table; the columns in `numbers` align right; on a phone each row becomes a card."""
    side = ["n" if i in numbers else "" for i in range(len(columns))]
    head = [tag("th", c, scope="col", class_=s) for c, s in zip(columns, side, strict=True)]
    body = [
        tag(
            "tr",
            [tag("td", cell, data_label=columns[i], class_=side[i]) for i, cell in enumerate(row)],
        )
        for row in rows
    ]
    whole = tag("table", tag("thead", tag("tr", head)), tag("tbody", body), class_=class_)
    return tag("div", whole, class_="scroll")


def details(summary: Any, *children: Any) -> Markup:
    """A part that opens on a click."""
    return tag("details", tag("summary", summary), *children)


def dotted(name: str) -> Markup:
    """A dotted name as code that may break after its dots."""
    parts = name.split(".")
    return tag("code", [join(part, Markup(".<wbr>")) for part in parts[:-1]], parts[-1])
