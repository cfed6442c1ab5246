"""A finished picture, and files that appear whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from pathlib import Path

from lenswright.plots.canvas import Canvas
from lenswright.plots.colour import BASE, FONT, SURFACE, dark_rules
from lenswright.plots.values import clean

_XMLNS = ' xmlns="http://www.w3.org/2000/svg"'

MARGIN = 14
"""Pixels of background around a picture that stands alone."""


def write_whole(path: Path, text: str) -> Path:
    """Writes a UTF-8 file under a temporary name, syncs and renames it: it appears whole or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


class Figure:
    """A picture: `.svg` is its text, notebooks show it, `.save(path)` writes it.

    `width` and `height` are pixels. `description` is what a reader who cannot see it is told.
    """

    def __init__(self, width: float, height: float, body: Iterable[str], description: str) -> None:
        self.width = round(width)
        self.height = round(height)
        self.body = "".join(body)
        self.description = description

    def _open(self, extra: str = "", margin: int = 0) -> str:
        width, height = self.width + 2 * margin, self.height + 2 * margin
        return (
            f'<svg{extra} class="lw-fig" width="{width}" height="{height}" '
            f'viewBox="{-margin} {-margin} {width} {height}" role="img" '
            f'aria-label="{escape(clean(self.description))}" '
            f'font-family="{escape(FONT)}" font-size="12">'
        )

    @property
    def inline(self) -> str:
        """The `<svg>` element for a page with its own background and style (see `dark_rules`)."""
        return f"{self._open()}{self.body}</svg>"

    @property
    def svg(self) -> str:
        """The whole SVG document on its own background, light or dark as the system asks."""
        canvas = Canvas()
        sides = self.width + 2 * MARGIN, self.height + 2 * MARGIN
        canvas.rect(-MARGIN, -MARGIN, *sides, fill=SURFACE)
        body = "".join(canvas.parts) + self.body
        style = f"<style>{BASE}@media (prefers-color-scheme:dark){{{dark_rules([body])}}}</style>"
        return f"{self._open(_XMLNS, MARGIN)}{style}{body}</svg>"

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div style="max-width:100%;overflow-x:auto">{self.svg}</div>'

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the picture as `.svg`, or as an `.html` page that holds it; returns the path.

        The file appears whole or not at all. Raises ValueError for another suffix.
        """
        path = Path(path)
        if path.suffix.lower() == ".svg":
            return write_whole(path, self.svg + "\n")
        if path.suffix.lower() in (".html", ".htm"):
            head = '<!doctype html><meta charset="utf-8">'
            head += '<meta name="color-scheme" content="light dark">'
            return write_whole(
                path, f"{head}<title>{escape(clean(self.description))}</title>{self.svg}\n"
            )
        raise ValueError(f"path: '{path}' ends in '{path.suffix}'; expected .svg or .html")

    def __repr__(self) -> str:
        return f"Figure({self.width} x {self.height} px: {self.description})"
