"""Colours that survive a dark page, a printer and colour-blind eyes.

A paint has one value for a light page and one for a dark page. Figures write the light value as a
plain SVG attribute, so that any viewer shows them, and name a class, so that a style sheet can put
the dark value in its place. The two ramps run in one hue from the page's own tone to its opposite;
the diverging scale goes from blue over grey to orange, which stays readable under every common form
of colour blindness. Steps are equal in OKLab lightness.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

BASE = ".lw-fig text{pointer-events:none}"
"""The one rule that every figure needs: tooltips look through text."""

LEVELS = 33
"""Steps of a colour scale: odd, so that a diverging scale has a middle, and finer than the eye
tells apart.
"""

FONT = 'ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'


@dataclass(frozen=True)
class Paint:
    """A colour by name, with its value on a light and on a dark page."""

    name: str
    light: str
    dark: str


SURFACE = Paint("surface", "#fcfbf9", "#161513")
INK = Paint("ink", "#1f1d1a", "#efece6")
SOFT = Paint("soft", "#57534c", "#b8b3a9")
FAINT = Paint("faint", "#716c63", "#938d83")
LINE = Paint("line", "#dedad2", "#37342f")
ACCENT = Paint("accent", "#1b5fae", "#82b7f4")
WARM = Paint("warm", "#ae4a10", "#f39b60")
GOOD = Paint("good", "#13725a", "#5fc8a4")
SERIES = (
    Paint("series0", "#1b5fae", "#82b7f4"),
    Paint("series1", "#b85a12", "#f0a064"),
    Paint("series2", "#13786a", "#5cc6b3"),
    Paint("series3", "#8a3f8f", "#d49ad8"),
    Paint("series4", "#6e6a1f", "#c9c064"),
    Paint("series5", "#5a5650", "#b5afa5"),
)
NAMED = (SURFACE, INK, SOFT, FAINT, LINE, ACCENT, WARM, GOOD, *SERIES)

# Each scale: its stops on a light page and on a dark one, low to high.
SCALES = {
    "blue": (
        ("#e9eef4", "#8db4dd", "#2f72ba", "#0a2c58"),
        ("#23282e", "#27507e", "#5b9ce0", "#d9eaff"),
    ),
    "violet": (
        ("#f0ebf3", "#c0a4cf", "#86549b", "#3c1a4c"),
        ("#29252c", "#5d3f6b", "#a877bd", "#efdcf7"),
    ),
    "diverging": (
        ("#0a3a78", "#5f96d1", "#efece7", "#dd9159", "#7d3306"),
        ("#a9d0ff", "#4a84c4", "#2a2825", "#bd6f35", "#ffc296"),
    ),
}
_PREFIX = {"blue": "b", "violet": "v", "diverging": "d"}


def _linear(colour: str) -> list[float]:
    """The linear-light red, green and blue of a `#rrggbb` colour, 0 to 1."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _to_oklab(colour: str) -> list[float]:
    r, g, b = _linear(colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return [
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    ]


def _from_oklab(lab: list[float]) -> str:
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    text = "#"
    for value in linear:
        value = min(1.0, max(0.0, value))
        value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
        text += f"{round(value * 255):02x}"
    return text


def _between(stops: tuple[str, ...], where: float) -> str:
    """The colour at `where` (0 to 1) along the stops."""
    place = where * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    a, b = _to_oklab(stops[first]), _to_oklab(stops[first + 1])
    return _from_oklab([x + (y - x) * (place - first) for x, y in zip(a, b, strict=True)])


def _luminance(colour: str) -> float:
    r, g, b = _linear(colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(first: str, second: str) -> float:
    """The WCAG contrast ratio of two `#rrggbb` colours, 1 to 21."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _readable(background: str) -> str:
    """Black or white, whichever is read better on the background: at least 4.5 to 1 on any."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))


@cache
def ramp(scale: str) -> tuple[Paint, ...]:
    """The paints of a scale ("blue", "violet" or "diverging"), low to high, `LEVELS` of them."""
    if scale not in SCALES:
        raise ValueError(f"scale: '{scale}' is unknown; expected one of {', '.join(SCALES)}")
    light, dark = SCALES[scale]
    steps = [i / (LEVELS - 1) for i in range(LEVELS)]
    prefix = _PREFIX[scale]
    return tuple(
        Paint(f"{prefix}{i}", _between(light, t), _between(dark, t)) for i, t in enumerate(steps)
    )


@cache
def on(paint: Paint) -> Paint:
    """The paint of text that lies on `paint`."""
    return Paint(f"on-{paint.name}", _readable(paint.light), _readable(paint.dark))


@cache
def _by_class() -> dict[str, tuple[str, str]]:
    """Class name to (property, dark value), for every paint there is."""
    paints = [*NAMED]
    for scale in SCALES:
        for paint in ramp(scale):
            paints += (paint, on(paint))
    return {
        f"{kind}-{p.name}": (prop, p.dark)
        for p in paints
        for kind, prop in (("f", "fill"), ("s", "stroke"))
    }


def dark_rules(bodies: Iterable[str]) -> str:
    """The style rules that give what these SVG bodies use its dark values, in a fixed order."""
    bodies = list(bodies)
    groups = (group for body in bodies for group in re.findall(r'class="([^"]*)"', body))
    used = {name for group in groups for name in group.split()}
    rules = "".join(
        f".lw-fig .{name}{{{prop}:{value}}}"
        for name, (prop, value) in _by_class().items()
        if name in used
    )
    images = any("<image" in body for body in bodies)
    return rules + (".lw-fig image{filter:brightness(1.4)}" if images else "")
