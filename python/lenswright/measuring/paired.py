"""Tests of what changed on the very same prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """The exact two-sided p of McNemar's test (1947, Psychometrika 12, 153) that nothing changed.

    Of the prompts whose answer turned, as many should have turned one way as the other: the
    probability, under a fair coin, of a split at least as uneven. 1 where none turned.

    Args:
        before, after: one yes or no a prompt, in the same order.

    Raises:
        ValueError: they differ in number.
    """
    if len(before) != len(after):
        raise ValueError(f"before has {len(before)} prompts and after {len(after)}, expected equal")
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    won = sum(b and not a for a, b in zip(before, after, strict=True))
    turned = lost + won
    tail = sum(math.comb(turned, k) for k in range(min(lost, won) + 1))
    return min(1.0, tail / 2 ** (turned - 1)) if turned else 1.0
