"""Attention patterns, every head at once."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from lenswright.plots.canvas import Canvas, clip, text_width
from lenswright.plots.colour import FAINT, LINE, SOFT
from lenswright.plots.figure import Figure
from lenswright.plots.values import Matrix, labels, matrix, plain, show

INK = (47, 119, 201)
"""The colour of full attention: a blue that stands out from a light page and from a dark one."""

FEW = 4000
"""Up to this many cells each carries a tooltip; beyond, the picture alone is drawn."""


def attention(
    pattern: Any,
    tokens: Sequence[str] | None = None,
    *,
    heads: Sequence[Any] | None = None,
    high: float = 1.0,
    columns: int | None = None,
    width: float = 860,
) -> Figure:
    """Attention patterns [heads, queries, keys] (or one [queries, keys]) as small maps, one for
    each head.

    Rows are queries, columns keys; the colour is the weight from 0 to `high`. `tokens` label keys
    and queries where they fit, `heads` name the maps, `columns` is how many stand in a row. Each
    map is one compressed 8-bit image, so a layer of 32 heads over 512 tokens stays small. Raises
    ValueError when the counts differ.
    """
    given = plain(pattern)
    if not isinstance(given, list) or not given or not isinstance(given[0], list) or not given[0]:
        raise ValueError("pattern: expected a tensor [heads, queries, keys] or [queries, keys]")
    if not isinstance(given[0][0], list):
        given = [given]
    maps = [matrix(head, f"pattern[{i}]") for i, head in enumerate(given)]
    queries, keys = len(maps[0]), len(maps[0][0])
    if any((len(m), len(m[0])) != (queries, keys) for m in maps):
        raise ValueError("pattern: the heads differ in size")
    if not high > 0:
        raise ValueError(f"high: is {high}, expected a value above 0")
    words = (
        labels(tokens, keys, "tokens")
        if tokens is not None or queries == keys
        else labels(None, keys, "tokens")
    )
    names = (
        labels(heads, len(maps), "heads")
        if heads is not None
        else [f"head {i}" for i in range(len(maps))]
    )
    across = columns or _columns(len(maps), width)
    gap = 18.0
    side = (width - gap * (across - 1)) / across
    written = tokens is not None and queries == keys and side / (keys + 4) >= 13
    margin = min(side * 0.3, max(text_width(word, 11) for word in words) + 6) if written else 0.0
    cell = min((side - margin) / keys, 30.0)
    used = margin + cell * keys
    tall = 22 + margin + cell * queries + 16
    canvas = Canvas()
    tips = queries * keys * len(maps) <= FEW
    for i, weights in enumerate(maps):
        x, y = i % across * (max(used, 60) + gap), i // across * tall
        canvas.text(x + margin, y + 13, clip(names[i], cell * keys, 12), bold=True)
        corner = (x + margin, y + 20 + margin)
        if written:
            _label(canvas, words, corner, cell, margin)
        _head(canvas, weights, corner, cell, high, (words, names[i]) if tips else None)
    rows = -(-len(maps) // across)
    total = min(len(maps), across) * (max(used, 60) + gap) - gap + 2
    note = f"rows: query, columns: key; colour from 0 to {show(high)}"
    canvas.text(0, rows * tall + 8, note, fill=FAINT, size=11)
    described = f"Attention of {len(maps)} heads over {queries} queries and {keys} keys"
    return Figure(max(total, text_width(note, 11)), rows * tall + 14, canvas.parts, described)


def _columns(count: int, width: float) -> int:
    """How many maps in a row: near a square, each at least 90 pixels wide."""
    most = max(1, int(width / 100))
    if count <= 3:
        return min(count, most)
    even = (n for n in range(math.isqrt(count - 1) + 1, most + 1) if count % n == 0)
    return min(most, next(even, math.ceil(math.sqrt(count * 1.6))))


def _label(
    canvas: Canvas, words: list[str], corner: tuple[float, float], cell: float, margin: float
) -> None:
    size = min(11.0, cell * 0.8)
    for i, word in enumerate(words):
        text = clip(word, margin - 4, size)
        canvas.text(
            corner[0] - 4,
            corner[1] + (i + 0.5) * cell + 4,
            text,
            size=size,
            fill=SOFT,
            anchor="end",
        )
        x, y = corner[0] + (i + 0.5) * cell + 4, corner[1] - 4
        canvas.text(x, y, text, size=size, fill=SOFT, transform=f"rotate(-90 {x:.1f} {y:.1f})")


def _head(
    canvas: Canvas,
    weights: Matrix,
    corner: tuple[float, float],
    cell: float,
    high: float,
    tip: tuple[list[str], str] | None,
) -> None:
    queries, keys = len(weights), len(weights[0])
    x, y, wide, tall = corner[0], corner[1], cell * keys, cell * queries
    canvas.rect(x, y, wide, tall, stroke=LINE)
    image: dict[str, float | str] = {"x": x, "y": y, "width": wide, "height": tall}
    image |= {"href": picture(weights, high), "preserveAspectRatio": "none"}
    canvas.add("image", image | {"style": "image-rendering:pixelated"})
    if tip is None:
        return
    words, name = tip
    for q, row in enumerate(weights):
        for k, value in enumerate(row):
            if value:
                text = f"{name}: {words[q] if queries == keys else q} → {words[k]}\n{show(value)}"
                place = corner[0] + k * cell, corner[1] + q * cell
                canvas.rect(*place, cell, cell, pointer_events="all", tip=text)


def picture(weights: Matrix, high: float) -> str:
    """A matrix as a PNG in a data address: one colour whose opacity is the value, 0 to `high` in
    255 steps.
    """
    rows = b"".join(
        b"\0" + bytes(round(255 * min(1.0, max(0.0, (v or 0.0) / high))) for v in row)
        for row in weights
    )
    header = struct.pack(">IIBBBBB", len(weights[0]), len(weights), 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", bytes(INK) * 256),
        (b"tRNS", bytes(range(256))),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        png += (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
