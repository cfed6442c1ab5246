"""Where and when a steering acts, as it is written on a command line."""

from __future__ import annotations

import re
from typing import Any

_SPAN = re.compile(r"(-?\d*):(-?\d*)")


def layers_of(given: list[str] | None) -> Any:
    """Layers of numbers, ranges such as 4..7, or all."""
    if given is None or given == ["all"]:
        return None if given is None else "all"
    found: list[int] = []
    for text in given:
        first, dots, last = text.partition("..")
        try:
            found += range(int(first), int(last) + 1) if dots else [int(first)]
        except ValueError:
            raise ValueError(f"--layers has '{text}', expected 3, 4..7 or all") from None
    return found


def rule_of(text: str) -> str | int | slice:
    """A rule of positions: a name, a number, or a span such as 2:5."""
    if _SPAN.fullmatch(text):
        start, stop = (int(end) if end else None for end in text.split(":"))
        return slice(start, stop)
    try:
        return int(text)
    except ValueError:
        return text


def knots_of(given: list[str] | None, name: str) -> dict[int, float] | None:
    """A schedule of PLACE:FACTOR."""
    if given is None:
        return None
    try:
        return {int(text.partition(":")[0]): float(text.partition(":")[2]) for text in given}
    except ValueError:
        raise ValueError(f"{name} has {given}, expected PLACE:FACTOR such as 0:1 32:0") from None
