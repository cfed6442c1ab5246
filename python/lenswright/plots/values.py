"""Numbers in, words out: what the pictures accept, and how a value is written beside its mark."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

from lenswright.jsonable import finite_or_none

Matrix = list[list[float | None]]

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
MISSING = "\N{EN DASH}"


def plain(value: Any) -> Any:
    """Nested lists of what was given: tensors and arrays through `.tolist()`, sequences item by
    item.
    """
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    return value


def _scalar(value: Any, name: str, index: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}[{index}]: expected a number or None, got {value!r}")
    return finite_or_none(value)


def vector(values: Any, name: str) -> list[float | None]:
    """A list of numbers; anything with `.tolist()` will do. Values that are not finite count as
    missing.

    Raises ValueError that names the entry when something is not a number.
    """
    values = plain(values)
    if not isinstance(values, list):
        raise ValueError(f"{name}: expected a list of numbers, got {type(values).__name__}")
    return [_scalar(value, name, i) for i, value in enumerate(values)]


def matrix(values: Any, name: str) -> Matrix:
    """Rows of numbers, all of one length; anything with `.tolist()` will do. Raises ValueError
    otherwise.
    """
    values = plain(values)
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(row, list) and row for row in values)
    ):
        raise ValueError(f"{name}: expected a matrix (rows of numbers, at least one by one)")
    rows = [vector(row, f"{name}[{i}]") for i, row in enumerate(values)]
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(f"{name}[{i}]: has {len(row)} values where row 0 has {len(rows[0])}")
    return rows


def labels(given: Sequence[Any] | None, count: int, name: str) -> list[str]:
    """`count` labels as text, made visible; 0, 1, 2 … where none were given. Raises ValueError on
    another count.
    """
    if given is None:
        return [str(i) for i in range(count)]
    texts = [visible(str(label)) for label in plain(given)]
    if len(texts) != count:
        raise ValueError(f"{name}: {len(texts)} labels for {count} values")
    return texts


def clean(text: str) -> str:
    """Text on one line, with what cannot or must not be printed made visible: breaks, controls,
    direction marks.
    """
    text = text.replace("\r\n", "↵").replace("\n", "↵").replace("\r", "↵").replace("\t", "⇥")
    return "".join(c if printable(c) else f"\\u{ord(c):04x}" for c in text)


def printable(c: str) -> bool:
    """Whether a character may stand in a page: no control, lone surrogate, non-character or
    invisible mark.

    The joiners that scripts and emoji need are let through; marks that turn the reading direction
    are not.
    """
    if ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF:
        return False
    return c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(token: str) -> str:
    """A token as it can be seen: spaces at its ends as signs too, also where a vocabulary writes
    them Ġ or ▁.
    """
    body = token.replace("\u0120", " ").replace("\u2581", " ").replace("\u010a", "\n")
    core = body.strip(" ")
    head = len(body) - len(body.lstrip(" ")) if core else len(body)
    tail = len(body) - len(body.rstrip(" ")) if core else 0
    return clean("␣" * head + core + "␣" * tail)


def number(value: float | None) -> str:
    """A value to three significant digits: 1,234 · 12.3 · 0.0123 · 1.2e-7."""
    if value is None:
        return MISSING
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.0005 or size >= 1e7:
        mantissa, exponent = f"{size:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    elif float(value).is_integer() or size >= 100:
        text = f"{size:,.0f}"
    else:
        text = f"{size:.{1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4}f}"
    return (MINUS if value < 0 else "") + text.replace("e-", f"e{MINUS}")


def percent(value: float | None) -> str:
    """A rate between 0 and 1 as a percentage with one decimal where it has one."""
    if value is None:
        return MISSING
    text = f"{abs(value) * 100:.1f}".removesuffix(".0")
    if text in ("0", "100") and abs(value) not in (0.0, 1.0):
        text = "<0.1" if text == "0" else ">99.9"
    return f"{MINUS if value < 0 else ''}{text}{THIN}%"


def show(value: float | None, unit: str = "") -> str:
    """A value in words of its unit: a percentage for "rate", else the number alone."""
    return percent(value) if unit == "rate" else number(value)


def fixed(values: Matrix) -> list[list[str]]:
    """A matrix as text with the same count of decimals everywhere, chosen by its largest entry."""
    peak = max((abs(v) for row in values for v in row if v is not None), default=0.0)
    whole = all(v is None or float(v).is_integer() for row in values for v in row)
    places = 0 if peak >= 100 or whole else 1 if peak >= 10 else 2
    if 0 < peak < 0.1:
        return [[number(v) for v in row] for row in values]

    def text(value: float | None) -> str:
        if value is None:
            return MISSING
        shown = f"{abs(value):.{places}f}"
        return (MINUS if value < 0 and float(shown) else "") + shown

    return [[text(v) for v in row] for row in values]


def short(value: float | None) -> str:
    """A value to two significant digits, for narrow places."""
    if value is None:
        return MISSING
    if value == 0 or abs(value) >= 100:
        return number(value)
    mantissa, exponent = f"{abs(value):.1e}".split("e")
    power = int(exponent)
    text = (
        f"{mantissa.removesuffix('.0')}e{MINUS}{-power}"
        if power < -3
        else f"{abs(value):.{max(0, 1 - power)}f}"
    )
    return (MINUS if value < 0 else "") + text


def span(low: float, high: float, unit: str = "") -> str:
    """A range of values, the unit named once: 0.2 – 2.8 %."""
    first, last = show(low, unit), show(high, unit)
    if first == last:
        return first
    if low < 0:
        return f"{first} to {last}"
    return f"{first.removesuffix(f'{THIN}%')}{THIN}–{THIN}{last}"


def tick_texts(values: list[float], unit: str = "") -> list[str]:
    """Tick values with the same count of decimals, as many as tell them apart."""
    if (
        unit == "rate"
        or not values
        or max(map(abs, values)) >= 1e5
        or 0 < max(map(abs, values)) < 1e-3
    ):
        return [show(v, unit) for v in values]
    places = next((p for p in range(6) if all(abs(v - round(v, p)) < 1e-9 for v in values)), 6)
    return [(MINUS if v < -1e-12 else "") + f"{abs(v):,.{places}f}" for v in values]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) within [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]
