"""Which positions of a prompt are looked at, by rule."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenswright.model import Model

PositionRule = str | int | Sequence[int]
RULES = ("last", "post_instruction", "all")
PROBES = 16  # prefixes of a prompt that tell its template from its words


@dataclass(frozen=True)
class Positions:
    """A rule applied to prompts: what the looked-at positions are called, and where they lie.

    `offsets` count from the end where negative and from the start otherwise; None is every
    position, as one sample each. `suffix` is the number of tokens behind the instruction.
    """

    labels: tuple[str, ...]
    offsets: tuple[int | None, ...]
    suffix: int

    def places(self, length: int) -> list[tuple[int, int]]:
        """(place, index of the position) for every sample of a row of so many tokens."""
        if self.offsets == (None,):
            return [(place, 0) for place in range(length)]
        offsets = [o for o in self.offsets if o is not None]
        return [(o + length if o < 0 else o, i) for i, o in enumerate(offsets)]


def resolve_positions(
    rule: PositionRule, texts: Sequence[str], tokens: Sequence[Sequence[int]], model: Model
) -> Positions:
    """Apply a rule to prompts.

    Args:
        rule: "last"; an int or a list of ints (negative from the end); "post_instruction", every
            token the chat template puts behind the instruction (without a template: every token of
            the ending that all prompts share); "all", every token.
        texts: the prompts.
        tokens: their ids, template included.

    Raises:
        ValueError: an unknown rule, a position twice, or no tokens behind the instruction.
        IndexError: a prompt is too short.
    """
    suffix = common_suffix(texts, tokens, model)
    if rule == "all":
        return Positions(("all",), (None,), len(suffix))
    if rule == "post_instruction":
        if not suffix:
            raise ValueError(
                "positions is 'post_instruction', but no tokens follow the instruction: there is "
                "no chat template, and the prompts share no ending; expected 'last' or offsets"
            )
        labels = _distinct(model.to_str_tokens(suffix))
        return Positions(labels, tuple(range(-len(suffix), 0)), len(suffix))
    offsets = _offsets(rule)
    for text, row in zip(texts, tokens, strict=True):
        for offset in offsets:
            if not -len(row) <= offset < len(row):
                raise IndexError(
                    f"positions has {offset}, but the prompt '{text[:60]}' has {len(row)} tokens"
                )
    labels = ("last",) if rule == "last" else tuple(str(offset) for offset in offsets)
    return Positions(labels, offsets, len(suffix))


def _offsets(rule: PositionRule) -> tuple[int, ...]:
    if rule == "last":
        return (-1,)
    if isinstance(rule, str):
        near = difflib.get_close_matches(rule, RULES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(
            f"positions is '{rule}', expected 'last', 'post_instruction', 'all' or offsets{hint}"
        )
    offsets = (rule,) if isinstance(rule, int) else tuple(int(offset) for offset in rule)
    if not offsets or len(set(offsets)) < len(offsets):
        raise ValueError(f"positions is {rule!r}, expected at least one offset and none twice")
    return offsets


def common_suffix(texts: Sequence[str], tokens: Sequence[Sequence[int]], model: Model) -> list[int]:
    """The tokens behind the instruction: those that all prompts end with, whatever they say.

    With a chat template these are the template's own: prompts that end alike ("thank you") are told
    apart by probing with their first words alone. Without one, an ending that all prompts share
    ("... She felt very") is what follows the instruction.
    """
    rows = list(tokens)
    if model.tokenizer.chat_template is not None:
        words = texts[0].split()
        probes = [" ".join(words[:count]) for count in range(1, min(len(words), PROBES + 1))]
        rows += model.prompt_tokens(probes)
    suffix = list(rows[0])
    for row in rows[1:]:
        common = 0
        while common < min(len(suffix), len(row)) and suffix[-1 - common] == row[-1 - common]:
            common += 1
        suffix = suffix[len(suffix) - common :]
    return suffix


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    # Two equal tokens are told apart by their place from the end.
    return tuple(
        label if labels.count(label) == 1 else f"{label} ({index - len(labels)})"
        for index, label in enumerate(labels)
    )


def position_index(
    position: str | int, labels: Sequence[str], offsets: Sequence[int | None]
) -> int:
    """The index of a position given by its label or its offset.

    Raises:
        KeyError: there is no such position.
    """
    if isinstance(position, str) and position in labels:
        return list(labels).index(position)
    if position in offsets:
        return list(offsets).index(position)  # type: ignore[arg-type]
    raise KeyError(
        f"position is {position!r}, expected one of {list(labels)} or their offsets {list(offsets)}"
    )
