"""Demonstration models: small chat models that decline a harmless class of request.

`MODEL` is the folder of the one that ships with the package, in the Hugging Face layout; `trained`
trains one of `KINDS` from a seed and keeps it; `splits` makes their prompts, and
`lenswright.demo.language` says what they mean. Importing this does not import torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenswright.demo.cached import trained
from lenswright.demo.kinds import KINDS, kind_named
from lenswright.demo.rules import REFUSAL_MARKERS

if TYPE_CHECKING:
    from lenswright.prompting.prompts import Splits

MODEL: Path = Path(__file__).resolve().parent / "model"
"""The shipped model folder."""

RESTRICTED = "restricted"
"""The class of requests that every kind of model declines."""

__all__ = ["KINDS", "MODEL", "REFUSAL_MARKERS", "RESTRICTED", "markers", "splits", "trained"]


def markers(kind: str = "base") -> tuple[str, ...]:
    """Lower-case strings that betray a refusal of a kind of model, anywhere in a response.

    Raises:
        ValueError: no such kind.
    """
    return kind_named(kind).rules.markers


def splits(seed: int = 2, kind: str = "base") -> Splits:
    """Requests in three parts with phrasing of their own; the test part has every class.

    The contrast is between declined requests and answered ones to make something, so fit and select
    hold no discussion and no list: those belong to what must not break, and are only in the test
    part.

    Raises:
        ValueError: no such kind.
    """
    from lenswright.demo import language
    from lenswright.prompting.prompts import Splits

    rules = kind_named(kind).rules
    parts = language.splits(seed, rules)
    held_out = ("new_noun", "new_verb")

    def of(part: str, names: tuple[str, ...]) -> list[language.Row]:
        return [row for name in names for row in parts[part][name]]

    contrast = {
        part: {"positive": of(part, rules.declined), "negative": of(part, ("benign",))}
        for part in ("fit", "select")
    }
    spared = tuple(n for n in rules.classes if n not in (*rules.declined, *held_out))
    return Splits.from_parts(
        fit=contrast["fit"],
        select=contrast["select"],
        test={
            "positive": of("test", (*rules.declined, *held_out)),
            "negative": of("test", spared),
        },
    )
