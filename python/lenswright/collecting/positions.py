"""Which positions of a prompt are looked at, by rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from lenswright.collecting.template_parts import (
    common_prefix,
    common_suffix,
    instruction_places,
    matching_places,
    span_places,
)
from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt

PositionRule = str | int | slice | Sequence[int] | Callable[[int, str], bool]
RULES = ("last", "first", "post_instruction", "pre_instruction", "instruction", "template", "all")
SPAN = "span:"


@dataclass(frozen=True)
class Positions:
    """A rule applied to prompts: what the looked-at positions are called, and where they lie.

    `offsets` count from the end where negative and from the start otherwise; None is a position of
    many places, each of them one sample: all of a prompt, or those `chosen` of it. `suffix` is the
    number of tokens behind the instruction.
    """

    labels: tuple[str, ...]
    offsets: tuple[int | None, ...]
    suffix: int
    chosen: tuple[tuple[int, ...], ...] | None = None  # of each prompt

    @property
    def digest(self) -> str | None:
        """SHA-256 of the places chosen, None where none are."""
        return None if self.chosen is None else sha256(repr(self.chosen).encode()).hexdigest()

    def places(self, length: int, prompt: int) -> list[tuple[int, int]]:
        """(place, index of the position) for every sample of a prompt of so many tokens."""
        if self.chosen is not None:
            return [(place, 0) for place in self.chosen[prompt]]
        if self.offsets == (None,):
            return [(place, 0) for place in range(length)]
        offsets = [o for o in self.offsets if o is not None]
        return [(o + length if o < 0 else o, i) for i, o in enumerate(offsets)]


def resolve_positions(
    rule: PositionRule, prompts: Sequence[Prompt], tokens: Sequence[Sequence[int]], model: Model
) -> Positions:
    """Apply a rule to prompts.

    Args:
        rule: one sample of each prompt at each position: "last"; "first"; an int or a list of ints
            (negative from the end); "post_instruction" and "pre_instruction", every token the chat
            template puts behind or before the instruction (without a template: what all prompts end
            or begin with). One position whose samples are many tokens: "all"; "instruction", the
            tokens between; "template", those around; a slice; "span:KEY", the tokens of the text
            that each prompt's row holds under KEY; a predicate (place, token's text) -> bool.
        prompts: the prompts.
        tokens: their ids, template included.

    Raises:
        ValueError: an unknown rule, a position twice, or no tokens where the rule looks.
        IndexError: a prompt is too short.
        KeyError: a prompt's row has no such span.
    """
    texts = [prompt.text for prompt in prompts]
    suffix = common_suffix(texts, tokens, model)
    if rule == "all":
        return Positions(("all",), (None,), len(suffix))
    if rule in ("post_instruction", "pre_instruction"):
        behind = rule == "post_instruction"
        ids = suffix if behind else common_prefix(texts, tokens, model)
        if not ids:
            raise ValueError(
                f"positions is '{rule}', but no tokens {'follow' if behind else 'precede'} the "
                "instruction: there is no chat template, and the prompts share no "
                f"{'ending' if behind else 'beginning'}; expected 'last' or offsets"
            )
        around = range(-len(ids), 0) if behind else range(len(ids))
        return Positions(_distinct(model.to_str_tokens(ids)), tuple(around), len(suffix))
    pooled = _pooled(rule, prompts, tokens, model, len(suffix))
    if pooled is not None:
        return pooled
    offsets = _offsets(rule)
    for text, row in zip(texts, tokens, strict=True):
        for offset in offsets:
            if not -len(row) <= offset < len(row):
                raise IndexError(
                    f"positions has {offset}, but the prompt '{text[:60]}' has {len(row)} tokens"
                )
    labels = (rule,) if isinstance(rule, str) else tuple(str(offset) for offset in offsets)
    return Positions(labels, offsets, len(suffix))


def _pooled(
    rule: PositionRule,
    prompts: Sequence[Prompt],
    tokens: Sequence[Sequence[int]],
    model: Model,
    suffix: int,
) -> Positions | None:
    """A position of many tokens, or None where the rule names single ones."""
    if rule in ("instruction", "template"):
        before = len(common_prefix([prompt.text for prompt in prompts], tokens, model))
        label, inside = str(rule), rule == "instruction"
        places = [instruction_places(len(row), before, suffix, inside) for row in tokens]
    elif isinstance(rule, slice):
        label = ":".join("" if x is None else str(x) for x in (rule.start, rule.stop))
        places = [tuple(range(*rule.indices(len(row)))) for row in tokens]
    elif isinstance(rule, str) and rule.startswith(SPAN):
        label, key = rule, rule[len(SPAN) :]
        places = [span_places(p, key, row, model) for p, row in zip(prompts, tokens, strict=True)]
    elif callable(rule):
        label = getattr(rule, "__name__", "chosen")
        places = [matching_places(rule, row, model) for row in tokens]
    else:
        return None
    if not any(places):
        raise ValueError(f"positions is {rule!r}, which finds no token in any prompt")
    return Positions((label,), (None,), suffix, tuple(places))


def _offsets(rule: PositionRule) -> tuple[int, ...]:
    if isinstance(rule, str):
        if rule in ("last", "first"):
            return (-1,) if rule == "last" else (0,)
        hint = did_you_mean(rule, RULES)
        known = ", ".join(f"'{name}'" for name in RULES)
        raise ValueError(
            f"positions is '{rule}', expected {known}, '{SPAN}KEY', offsets, a slice or a "
            f"predicate{hint}"
        )
    assert not isinstance(rule, slice)
    assert not callable(rule)
    offsets = (rule,) if isinstance(rule, int) else tuple(int(offset) for offset in rule)
    if not offsets or len(set(offsets)) < len(offsets):
        raise ValueError(f"positions is {rule!r}, expected at least one offset and none twice")
    return offsets


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
