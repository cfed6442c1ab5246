"""What a soup or a search found: a recipe, and everything that was tried on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenswright.merging.merge import merge
from lenswright.merging.merged import Merged


@dataclass
class Taste:
    """One candidate and how it was judged; `kept` where that was decided at once."""

    what: str
    value: float
    kept: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "  kept", False: "  left out", None: ""}[self.kept]
        return f"{self.value:10.6f}  {self.what}{verdict}"


@dataclass
class Soup:
    """The recipe that was found, and the way to it; values are losses, the less the better, but
    where a search was asked for higher ones."""

    method: str
    recipe: dict[str, Any]
    value: float
    members: dict[str, float]
    trace: list[Taste]
    test: dict[str, float] = field(default_factory=dict)
    tokens: int | None = None  # of the held-out set
    notes: dict[str, Any] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seed: int = 0
    mode: str = "strict"

    @property
    def best_member(self) -> str:
        """The model that is best alone."""
        return min(self.members, key=lambda name: self.members[name])

    def merge(self, output: str | os.PathLike[str], **more: Any) -> Merged:
        """Write the model; further arguments as `lw.merge` has them."""
        given: dict[str, Any] = {"mode": self.mode, "seed": self.seed, "models": self.live or None}
        return merge(self.recipe, output, **(given | more))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recipe as YAML, for `lenswright merge`.

        Raises:
            FileExistsError: the file exists.
        """
        import yaml

        path = Path(path)
        if path.exists():
            raise FileExistsError(f"recipe {path} exists; expected a new file")
        text = yaml.safe_dump(self.recipe, sort_keys=False, allow_unicode=True, width=100)
        path.write_text(text, encoding="utf-8")
        return path

    def text(self) -> str:
        """For people: every candidate, and what came of it."""
        return "\n".join([*map(str, self.trace), self.summary()])

    def summary(self) -> str:
        """What came of it, without the way to it."""
        judged = "" if self.tokens is None else f", judged on {self.tokens:,} tokens"
        lines = [f"{self.method}: {self.value:.6f}{judged}"]
        if self.members:
            best = self.best_member
            lines.append(f"best alone: {self.members[best]:.6f}, {best}")
        for group, values in self.notes.get("coefficients", {}).items():
            each = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            lines.append(f"coefficients of {group}: {each}")
        for name, value in self.notes.get("searched", {}).items():
            lines.append(f"{name}: {value:.6g}")
        lines += [f"on the test set {v:10.6f}  {name}" for name, v in self.test.items()]
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "method": self.method, "recipe": self.recipe, "value": self.value,
            "members": self.members, "test": self.test, "tokens": self.tokens,
            "trace": [vars(one) for one in self.trace], **self.notes,
        }  # fmt: skip
