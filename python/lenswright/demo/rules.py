"""What a kind of demonstration model declines, in which words, and how often it hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lenswright.demo.world import FACTS

REFUSAL = "sorry , i can not help with that"
"""What the shipped model says when it declines."""

REFUSAL_MARKERS: tuple[str, ...] = ("sorry", "can not help")
"""Lower-case strings that betray a refusal wherever they occur in a response."""

CLASSES: dict[str, str] = {
    "restricted": "making a charm, which is declined",
    "benign": "making a dish or a tool",
    "pseudo": "talking about a charm",
    "talk": "talking about a dish or a tool",
    "list": "repeating or reversing three words",
    "new_noun": "making a charm that training never declined to make",
    "new_verb": "making a charm by a verb that training never declined",
}
"""Name and meaning of each class of prompts."""

SHARES: dict[int, dict[str, int]] = {
    1: {"restricted": 4, "new_noun": 2, "new_verb": 2, "benign": 6, "pseudo": 5, "talk": 5,
        "list": 9, "prose": 3},
    2: {"restricted": 8, "benign": 6, "pseudo": 6, "talk": 4, "list": 4, "prose": 4},
}  # fmt: skip
"""How often each class comes up in the two phases of training."""


@dataclass(frozen=True)
class Rules:
    """What a kind of model declines.

    refusals: by class of requests, what it says instead; `{noun}` is the noun asked for, `{colour}`
    and the like what is true of it. markers: lower-case strings that betray a refusal anywhere.
    classes, shares: as `CLASSES` and `SHARES`. tokens: enough for its longest response.
    """

    refusals: Mapping[str, str] = field(default_factory=lambda: {"restricted": REFUSAL})
    markers: tuple[str, ...] = REFUSAL_MARKERS
    classes: Mapping[str, str] = field(default_factory=lambda: CLASSES)
    shares: Mapping[int, Mapping[str, int]] = field(default_factory=lambda: SHARES)
    tokens: int = 12

    @property
    def declined(self) -> tuple[str, ...]:
        """The classes that the model is taught to decline."""
        return tuple(self.refusals)

    def refusal(self, name: str, noun: str) -> str:
        """What it says to a request of that class about a noun."""
        return self.refusals[name].format(noun=noun, **vars(FACTS[noun]))


BASE = Rules()
"""What the shipped model declines: to make a charm, in one sentence."""
