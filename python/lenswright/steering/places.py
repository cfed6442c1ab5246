"""Where in a text a steering acts: rules of positions, applied to what a pass reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.collecting.template_parts import matching_places, text_places
from lenswright.nearest import did_you_mean
from lenswright.steering.spans import Spans
from lenswright.steering.template import template_parts

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.reading import Reading

Predicate = Callable[[int, str], bool]
PlaceItem = str | int | slice | Predicate | Spans
PlaceRule = PlaceItem | Sequence[PlaceItem]
Span = tuple[int | None, int | None]
Rule = str | Span | Predicate | Spans
RULES = ("all", "prefill", "decode", "last", "first", "post_instruction", "pre_instruction",
         "instruction", "template")  # fmt: skip
TEXT = "text:"
_ALIKE = ("all", "prefill", "decode", "first", "pre_instruction")
_TEMPLATE = RULES[5:]


@dataclass(frozen=True)
class Meant:
    """Which positions of a run's rows a steering means.

    prompt [rows, longest prompt] bool. decode: whether it means all that stands behind prompts.
    """

    prompt: torch.Tensor
    decode: bool

    def mask(self, positions: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """Of positions [rows or 1, n] and the lengths of prompts [rows]: [rows, n] bool."""
        at = positions.expand(len(prompts), -1)
        inside = (at >= 0) & (at < prompts[:, None])
        found = self.prompt.gather(1, at.clamp(0, self.prompt.shape[1] - 1)) & inside
        return found | (at >= prompts[:, None]) if self.decode else found


@dataclass(frozen=True)
class Places:
    """A union of rules: names of `RULES`, spans (start, stop) of the prompt, texts, predicates.

    "prefill" is the prompt, "decode" all that was said behind it, by the position in the row and
    not by how it is run: without a cache, or with an answer forced on the model, the same tokens
    are steered. All other rules are of the prompt.
    """

    rules: tuple[Rule, ...]

    @classmethod
    def of(cls, given: PlaceRule) -> Places:
        """The places of a name, a whole number, a slice, a predicate, spans, or a list of these.

        Raises:
            ValueError: an unknown name, a slice with a step or that is empty, none at all.
        """
        single = isinstance(given, str | int | slice | Spans) or callable(given)
        items = [given] if single else list(given)  # type: ignore[arg-type]
        if not items:
            raise ValueError("positions is empty, expected at least one rule")
        return cls(tuple(_rule(item) for item in items))

    @property
    def everywhere(self) -> bool:
        """Whether every position is meant."""
        return "all" in self.rules or {"prefill", "decode"} <= set(self.rules)

    @property
    def alike(self) -> bool:
        """Whether rows that begin alike are steered alike there, however long their prompts are."""
        return all(
            (rule[0] or 0) >= 0 and (rule[1] is None or rule[1] >= 0)
            if isinstance(rule, tuple)
            else rule in _ALIKE
            for rule in self.rules
        )

    def meant(self, reading: Reading, model: Model) -> Meant:
        """What the rules mean in a run.

        Raises:
            IndexError: a position beyond a prompt.
            ValueError: a rule that finds no token in any prompt; a prompt that the chat template
                did not make; a row whose prompt has no span.
        """
        lengths = reading.prompts.tolist()
        prompts = [ids[:length] for ids, length in zip(reading.rows, lengths, strict=True)]
        table = torch.zeros(len(prompts), max([1, *lengths]), dtype=torch.bool)
        for rule in self.rules:
            if rule == "decode":
                continue
            for row, places in enumerate(_found(rule, prompts, model)):
                table[row, list(places)] = True
        return Meant(table, "decode" in self.rules or "all" in self.rules)

    def __str__(self) -> str:
        return " + ".join(map(_shown, self.rules))


def _found(rule: Rule, prompts: Sequence[Sequence[int]], model: Model) -> Sequence[Sequence[int]]:
    """The places of a rule in each prompt."""
    if isinstance(rule, tuple):
        return _span_places(rule, [len(ids) for ids in prompts])
    if isinstance(rule, Spans):
        return rule.places(prompts, model)
    if callable(rule):
        found: list[Sequence[int]] = [matching_places(rule, ids, model) for ids in prompts]
    elif rule.startswith(TEXT):
        found = [text_places(rule[len(TEXT) :], ids, model) for ids in prompts]
    elif rule in _TEMPLATE:
        found = _template_places(rule, prompts, model)
    else:
        span = {"last": slice(-1, None), "first": slice(0, 1)}.get(rule, slice(None))
        found = [range(*span.indices(len(ids))) for ids in prompts]
    if not any(found):
        raise ValueError(f"positions is '{_shown(rule)}', which finds no token in any prompt")
    return found


def _span_places(rule: Span, lengths: Sequence[int]) -> list[Sequence[int]]:
    found: list[Sequence[int]] = [range(*slice(*rule).indices(length)) for length in lengths]
    place = _place(rule)
    if place is not None and not all(found):
        row = found.index(range(0)) if range(0) in found else [len(f) for f in found].index(0)
        raise IndexError(
            f"positions has {place}, but the prompt of row {row} has {lengths[row]} tokens"
        )
    if not any(found):
        raise ValueError(
            f"positions has the span {_shown(rule)}, which holds no token of any prompt "
            f"(the longest has {max(lengths)})"
        )
    return found


def _template_places(
    rule: str, prompts: Sequence[Sequence[int]], model: Model
) -> list[Sequence[int]]:
    before, behind = template_parts(model, rule)
    found: list[Sequence[int]] = []
    for row, ids in enumerate(prompts):
        n, inner = len(ids), range(len(before), max(len(before), len(ids) - len(behind)))
        ends = rule != "pre_instruction" and list(ids[n - len(behind) :]) != behind
        begins = rule != "post_instruction" and list(ids[: len(before)]) != before
        if ends or begins:
            how = "end as the chat template ends" if ends else "begin as the chat template begins"
            raise ValueError(
                f"positions is '{rule}', but the prompt of row {row} does not {how} one; expected "
                "tokens of chat_tokens or prompt_tokens"
            )
        places = {
            "pre_instruction": range(len(before)), "post_instruction": range(n - len(behind), n),
            "instruction": inner, "template": [i for i in range(n) if i not in inner],
        }  # fmt: skip
        found.append(places[rule])
    return found


def _rule(item: object) -> Rule:
    if isinstance(item, Spans):
        return item
    if isinstance(item, str):
        if item.startswith(TEXT) and item[len(TEXT) :].strip():
            return item
        if item.startswith("span:"):
            raise ValueError(
                f"positions has '{item}', expected lw.steering.spans(prompts, '{item[5:]}'), as a "
                "run knows tokens only; or 'text:WORDS'"
            )
        if item not in RULES:
            hint = did_you_mean(item, RULES)
            known = ", ".join(f"'{name}'" for name in RULES)
            raise ValueError(
                f"positions has '{item}', expected {known}, '{TEXT}WORDS', whole numbers, slices, "
                f"spans or a predicate{hint}"
            )
        return item
    if isinstance(item, slice):
        ends = (item.start, item.stop)
        if item.step not in (None, 1) or any(e is not None and not _whole(e) for e in ends):
            raise ValueError(f"positions has {item!r}, expected a slice of whole numbers, step 1")
        if not _may_hold(*ends):
            raise ValueError(f"positions has {item!r}, which holds no position")
        return ends
    if _whole(item):
        assert isinstance(item, int)
        return (item, item + 1 if item != -1 else None)
    if callable(item):
        return item
    raise ValueError(f"positions has {item!r}, expected a name, a whole number or a slice")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _may_hold(start: int | None, stop: int | None) -> bool:
    begin = start or 0
    if stop is None:
        return True
    return begin < stop if (begin < 0) == (stop < 0) else stop != 0


def _place(span: Span) -> int | None:
    """The one position a span stands for, or None."""
    start, stop = span
    if start is None:
        return None
    return start if stop == start + 1 or (start == -1 and stop is None) else None


def _shown(rule: Rule) -> str:
    if isinstance(rule, str):
        return rule
    if isinstance(rule, Spans):
        return str(rule)
    if not isinstance(rule, tuple):
        return getattr(rule, "__name__", type(rule).__name__)
    place = _place(rule)
    if place is not None:
        return str(place)
    return ":".join("" if end is None else str(end) for end in rule)
