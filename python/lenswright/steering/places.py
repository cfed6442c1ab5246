"""Where in a text a steering acts: rules of positions, applied to what a pass reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.collecting.template_parts import common_suffix
from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.reading import Reading

PlaceRule = str | int | slice | Sequence["str | int | slice"]
Span = tuple[int | None, int | None]
RULES = ("all", "prefill", "decode", "last", "first", "post_instruction")


@dataclass(frozen=True)
class Places:
    """A union of rules: names of `RULES`, and spans (start, stop) of the prompt.

    "prefill" is the prompt, "decode" all that was said behind it, by the position in the row and
    not by how it is run: without a cache, or with an answer forced on the model, the same tokens
    are steered. "last", "first", whole numbers (negative from its end) and spans are of the prompt.
    """

    rules: tuple[str | Span, ...]

    @classmethod
    def of(cls, given: PlaceRule) -> Places:
        """The places of a name, a whole number, a slice, or a list of these.

        Raises:
            ValueError: an unknown name, a slice with a step or that is empty, none at all.
        """
        single = isinstance(given, str | int | slice)
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
            rule in ("all", "prefill", "decode", "first")
            if isinstance(rule, str)
            else (rule[0] or 0) >= 0 and (rule[1] is None or rule[1] >= 0)
            for rule in self.rules
        )

    def check(self, reading: Reading, model: Model) -> None:
        """See that the rules find something in the prompts.

        Raises:
            IndexError: a position beyond a prompt.
            ValueError: a span that holds no token of any prompt; a prompt that the chat template
                did not make.
        """
        lengths = reading.prompts.tolist()
        for rule in self.rules:
            if rule == "post_instruction":
                self._check_template(reading, model)
            if isinstance(rule, str):
                continue
            found = [len(range(*slice(*rule).indices(length))) for length in lengths]
            place = _place(rule)
            if place is not None and not all(found):
                row = found.index(0)
                raise IndexError(
                    f"positions has {place}, but the prompt of row {row} has {lengths[row]} tokens"
                )
            if not any(found):
                raise ValueError(
                    f"positions has the span {_shown(rule)}, which holds no token of any prompt "
                    f"(the longest has {max(lengths)})"
                )

    @staticmethod
    def _check_template(reading: Reading, model: Model) -> None:
        suffix = template_suffix(model)
        for row, (ids, length) in enumerate(
            zip(reading.rows, reading.prompts.tolist(), strict=True)
        ):
            if ids[:length][-len(suffix) :] != suffix:
                raise ValueError(
                    f"positions is 'post_instruction', but the prompt of row {row} does not end as "
                    "the chat template ends one; expected tokens of chat_tokens or prompt_tokens"
                )

    def resolved(self, model: Model) -> Places:
        """The same with the template's part as a span, for `mask`."""
        if "post_instruction" not in self.rules:
            return self
        span = (-len(template_suffix(model)), None)
        return Places(tuple(span if rule == "post_instruction" else rule for rule in self.rules))

    def mask(self, positions: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """Which positions are meant [rows, n] bool, of positions [rows or 1, n], prompts [rows]."""
        length = prompts[:, None]
        found = torch.zeros(1, 1, dtype=torch.bool, device=positions.device)
        for rule in self.rules:
            found = found | self._one(rule, positions, length)
        return found.expand(len(prompts), positions.shape[1])

    @staticmethod
    def _one(rule: str | Span, at: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        if rule == "all":
            return at >= 0
        if rule == "prefill":
            return at < length
        if rule == "decode":
            return at >= length
        if rule == "last":
            rule = (-1, None)
        elif rule == "first":
            rule = (0, 1)
        assert not isinstance(rule, str)
        start = _bound(0 if rule[0] is None else rule[0], length)
        stop = length if rule[1] is None else _bound(rule[1], length)
        return (start <= at) & (at < stop)

    def __str__(self) -> str:
        return " + ".join(rule if isinstance(rule, str) else _shown(rule) for rule in self.rules)


def template_suffix(model: Model) -> list[int]:
    """The tokens the chat template puts behind an instruction.

    Raises:
        ValueError: there is no chat template, or it puts none there.
    """
    if model.tokenizer.chat_template is None:
        raise ValueError(
            "positions is 'post_instruction', but there is no chat template; expected 'last' or "
            "offsets"
        )
    # Words of this vocabulary among them: to some tokenizers all others are one unknown token.
    words = [model.tokenizer.decode([model.cfg.d_vocab // part]) for part in (2, 3, 5)]
    texts = ["one two three", "four", *(word for word in words if word.strip())]
    suffix = common_suffix(texts, model.prompt_tokens(texts), model)
    if not suffix:
        raise ValueError(
            "positions is 'post_instruction', but no tokens follow the instruction; expected "
            "'last' or offsets"
        )
    return suffix


def _rule(item: object) -> str | Span:
    if isinstance(item, str):
        if item not in RULES:
            hint = did_you_mean(item, RULES)
            known = ", ".join(f"'{name}'" for name in RULES)
            raise ValueError(
                f"positions has '{item}', expected {known}, whole numbers or slices{hint}"
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


def _bound(offset: int, length: torch.Tensor) -> torch.Tensor:
    if offset < 0:
        return (length + offset).clamp_min(0)
    return torch.full_like(length, offset).minimum(length)


def _shown(span: Span) -> str:
    place = _place(span)
    if place is not None:
        return str(place)
    return ":".join("" if end is None else str(end) for end in span)
