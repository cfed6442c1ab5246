"""What was found, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright import methods
from lenswright.measuring.measurement import NO_TITLE
from lenswright.measuring.refusal import RefusalDetector

if TYPE_CHECKING:
    from lenswright.directions import MassiveChannels
    from lenswright.edits import Edit
    from lenswright.selecting.choice import Choice
    from lenswright.story import Plan

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


def unlike(plan: Plan, choice: Choice) -> list[str]:
    """What a user should know of what the choice was made by."""
    own = choice.provenance["selection"].get("refusals")
    if plan.refusal is not None or own is None:
        return []
    found = RefusalDetector()
    if any(found(text) for text in own):
        return []
    return [
        f"what was taken for the model's refusals does not read like any: {own}; for another "
        "behaviour name words that go on with it (--positive-words, --negative-words)"
    ]


def massive_note(massive: MassiveChannels, plan: Plan) -> list[str]:
    """Channels that drown what a direction is about, and what was done with them."""
    if not massive.rows:
        return []
    worst = max(massive.rows, key=lambda row: row["ratio"])
    done = {
        "keep": "they are in the directions (--massive clip or exclude takes them out)",
        "clip": "the directions were clipped there",
        "exclude": "the directions have nothing there",
    }
    channels = sorted({row["channel"] for row in massive.rows})
    return [
        f"massive channels {channels[:8]}{' ...' if len(channels) > 8 else ''}: the largest is "
        f"{worst['channel']} of {worst['point']}, {worst['peak']:.4g}, {worst['ratio']:.3g} times "
        f"the median channel; {done[plan.massive]}"
    ]


def edit_facts(plan: Plan, choice: Choice, edit: Edit) -> dict[str, Any]:
    """What was made: the method, its settings, whence, and what it leaves over."""
    where = {"direction from": f"{choice.point}, position '{choice.position}'"}
    remarks = edit.provenance.get("remarks", [])
    return (
        methods.told(plan, edit) | where
        | {f"remark {i + 1}": text for i, text in enumerate(remarks)}
    )  # fmt: skip


def titled(
    data: Mapping[str, Any], plan: Plan, choice: Choice, notes: Sequence[str]
) -> dict[str, Any]:
    """A report's data with the notes, and a title where `measure` had none of its own."""
    titled = dict(data)
    if data["title"] == NO_TITLE:
        titled["title"] = (
            f"What the {plan.method} edit along layer {choice.layer}, position "
            f"'{choice.position}', did"
        )
    return titled | ({"notes": list(notes)} if notes else {})
