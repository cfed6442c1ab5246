"""What was found, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenswright.selecting.choice import Choice

FRONT = 5
"""Rows of the Pareto front that are told; the report has all."""


def number(value: float | None, form: str) -> str:
    """One that may be unknown."""
    return "unknown (too few prompts)" if value is None else format(value, form)


def front_lines(choice: Choice) -> list[str]:
    """The Pareto front, and what was relaxed."""
    lines = [f"fallback: {choice.reason}"] if choice.fallback else []
    tried = sum(row["bypass"] is not None for row in choice.table)
    lines.append(
        f"front: {len(choice.front)} of {tried} tried have no better in bypass, induce and kl"
    )
    for row in choice.front[:FRONT]:
        mark = ", chosen" if row is choice.row else ""
        lines.append(
            f"  layer {row['layer']}, position '{row['position']}': bypass {row['bypass']:.3f}, "
            f"induce {row['induce']:.3f}, kl {row['kl']:.4f}, cosmic {row['cosmic']:.3f}{mark}"
        )
    if len(choice.front) > FRONT:
        lines.append(f"  and {len(choice.front) - FRONT} more, in the report")
    return lines


def effect_line(effect: Mapping[str, Any]) -> str:
    """One measure as a line: before, after, its interval, random directions."""

    def shown(value: float) -> str:
        return f"{value:.1%}" if effect["unit"] == "rate" else f"{value:.4f}"

    before = f"{shown(effect['before'])} -> " if "before" in effect else ""
    interval = ""
    if "interval" in effect:
        interval = f" [{shown(effect['interval'][0])}, {shown(effect['interval'][1])}]"
    null = ""
    if effect["null"]:
        low, high = min(effect["null"]), max(effect["null"])
        null = f"; {len(effect['null'])} random directions {shown(low)} to {shown(high)}"
    return f"{effect['name']:<28} {before}{shown(effect['after'])}{interval}{null}"
