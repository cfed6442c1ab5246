"""The pencil: collects SVG elements as text, the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from lenswright.plots.colour import INK, MONO, Paint
from lenswright.plots.values import clean

Attributes = Mapping[str, float | str]
"""Names (with `_` for `-`) and values of an element's attributes."""


def coordinate(value: float) -> str:
    """A length in pixels to a hundredth, without needless digits."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def text_width(text: str, size: float = 12, bold: bool = False) -> float:
    """A safe guess, in pixels, of how wide a text is in the sans-serif fonts a reader may have."""
    total = 0.0
    for c in text:
        if ord(c) > 0x2E80:
            total += 1.05
        elif c in "iljI.,:;'|!()[]{}ft ":
            total += 0.38
        elif c in "mwMW@%<>=+→−":
            total += 0.92
        else:
            total += 0.7 if c.isupper() else 0.61
    return total * size * (1.12 if bold else 1.0)


def clip(text: str, width: float, size: float = 12, bold: bool = False) -> str:
    """The text, shortened with an ellipsis where it is wider than `width` pixels."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text + "…"


class Canvas:
    """Collects SVG elements. What a caller passes as text is escaped here and nowhere else."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def add(
        self,
        name: str,
        attributes: Attributes,
        *,
        fill: Paint | None = None,
        stroke: Paint | None = None,
        text: str = "",
        tip: str = "",
    ) -> None:
        """One element; `tip` becomes its tooltip."""
        written = []
        classes = [f"{kind}-{p.name}" for kind, p in (("f", fill), ("s", stroke)) if p]
        if classes:
            written.append(f'class="{" ".join(classes)}"')
        for key, value in attributes.items():
            shown = escape(clean(value)) if isinstance(value, str) else coordinate(value)
            written.append(f'{key.replace("_", "-")}="{shown}"')
        if fill or name in ("path", "circle", "rect"):
            written.append(f'fill="{fill.light if fill else "none"}"')
        if stroke:
            written.append(f'stroke="{stroke.light}"')
        body = escape(clean(text), quote=False)
        if tip:
            lines = "\n".join(clean(line) for line in tip.split("\n"))
            body += f"<title>{escape(lines, quote=False)}</title>"
        opening = f"<{name} {' '.join(written)}"
        self.parts.append(f"{opening}>{body}</{name}>" if body else f"{opening}/>")

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: Paint | None = None,
        stroke: Paint | None = None,
        tip: str = "",
        **attributes: float | str,
    ) -> None:
        """A rectangle by its upper left corner."""
        box = {"x": x, "y": y, "width": width, "height": height}
        self.add("rect", {**box, **attributes}, fill=fill, stroke=stroke, tip=tip)

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        stroke: Paint,
        width: float = 1,
        **attributes: float | str,
    ) -> None:
        """A straight line."""
        ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "stroke_width": width}
        self.add("line", {**ends, **attributes}, stroke=stroke)

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        *,
        fill: Paint | None = None,
        stroke: Paint | None = None,
        tip: str = "",
        **attributes: float | str,
    ) -> None:
        """A circle by its centre."""
        place = {"cx": x, "cy": y, "r": radius}
        self.add("circle", {**place, **attributes}, fill=fill, stroke=stroke, tip=tip)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        fill: Paint = INK,
        size: float = 12,
        anchor: str = "start",
        bold: bool = False,
        mono: bool = False,
        halo: Paint | None = None,
        **attributes: float | str,
    ) -> None:
        """A line of text on the baseline y; tooltips look through it.

        `anchor` is start, middle or end; `halo` is what is painted behind the letters.
        """
        if not text:
            return
        if halo:
            attributes.update(stroke_width=4.5, paint_order="stroke", stroke_linejoin="round")
        if anchor != "start":
            attributes["text_anchor"] = anchor
        if bold:
            attributes["font_weight"] = "600"
        if mono:
            attributes["font_family"] = MONO
        if size != 12:
            attributes["font_size"] = size
        place: dict[str, float | str] = {"x": x, "y": y}
        self.add("text", {**place, **attributes}, fill=fill, stroke=halo, text=text)
