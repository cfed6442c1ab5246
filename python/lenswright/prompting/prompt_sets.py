"""Prompts of two classes with one role, so that no part is taken for another."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["fit", "select", "test"]
ROLES: tuple[Role, ...] = ("fit", "select", "test")
CLASSES = ("positive", "negative")


@dataclass(frozen=True)
class Prompt:
    """One prompt: its text, the true answer where known, what else its row said ("class" ...)."""

    text: str
    answer: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)
    place: str = field(default="", compare=False)

    @property
    def normalised(self) -> str:
        """The text by which two prompts are the same: NFKC, lower case, single spaces."""
        return " ".join(unicodedata.normalize("NFKC", self.text).casefold().split())

    @property
    def digest(self) -> str:
        """SHA-256 of the normalised text, its first 16 hexadecimal digits."""
        return hashlib.sha256(self.normalised.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        short = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"'{short}'" + (f" ({self.place})" if self.place else "")


class PromptSet:
    """Prompts of two classes with one role: `fit`, `select` or `test`. Made by `Splits`.

    `positive` prompts show the behaviour (are refused, are happy ...), `negative` ones do not.
    """

    def __init__(self, role: Role, positive: Sequence[Prompt], negative: Sequence[Prompt]) -> None:
        self.role = role
        self.positive = tuple(positive)
        self.negative = tuple(negative)

    def __len__(self) -> int:
        return len(self.positive) + len(self.negative)

    def __iter__(self) -> Iterator[Prompt]:
        yield from self.positive
        yield from self.negative

    def of(self, name: str) -> tuple[Prompt, ...]:
        """The prompts of a class, "positive" or "negative"."""
        if name not in CLASSES:
            raise ValueError(f"class is {name!r}, expected 'positive' or 'negative'")
        return self.positive if name == "positive" else self.negative

    @property
    def digests(self) -> list[str]:
        """Digest of every prompt, sorted."""
        return sorted(prompt.digest for prompt in self)

    @property
    def sha256(self) -> str:
        """Hash of the set: texts, answers and classes, whatever their order."""
        lines = sorted(f"{c}\0{p.text}\0{p.answer}" for c in CLASSES for p in self.of(c))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def provenance(self) -> dict[str, Any]:
        """What a result made from these prompts keeps of them."""
        counts = {"positive": len(self.positive), "negative": len(self.negative)}
        pairs = {p.digest: str(p.extra["pair"]) for p in self if "pair" in p.extra}
        made = {"role": self.role, "sha256": self.sha256, "digests": self.digests} | counts
        return made | ({"pairs": pairs} if pairs else {})

    def __repr__(self) -> str:
        return (
            f"PromptSet({self.role}: {len(self.positive)} positive, "
            f"{len(self.negative)} negative, sha256 {self.sha256[:12]})"
        )


def need_role(prompts: Any, role: Role, use: str) -> PromptSet:
    """The prompts, if they are a set of the role that a use takes.

    Raises:
        ValueError: they are of another role, or no `PromptSet`.
    """
    if not isinstance(prompts, PromptSet):
        raise ValueError(
            f"prompts is a {type(prompts).__name__}, expected the .{role} part of an lw.Splits "
            f"({use} takes no other)"
        )
    if prompts.role != role:
        raise ValueError(
            f"prompts is the '{prompts.role}' part of its splits, expected the '{role}' part: "
            f"{use} takes no other, so that nothing is judged on what it was made from"
        )
    return prompts


def refuse_overlap(prompts: PromptSet, provenance: Mapping[str, Any], use: str) -> None:
    """Check that none of these prompts had a part in making something.

    `provenance` is that thing's; its entries "fit" and "select" carry digests of prompts.

    Raises:
        ValueError: one had; the prompt and its place are named.
    """
    for role in ROLES:
        if role == prompts.role or role not in provenance:
            continue
        seen = set(provenance[role]["digests"])
        for prompt in prompts:
            if prompt.digest in seen:
                raise ValueError(
                    f"prompts: {prompt} was already used to {role}; {use} needs prompts unseen "
                    "until then"
                )
