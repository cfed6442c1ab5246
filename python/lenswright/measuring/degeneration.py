"""Answers that are none: empty ones, and ones that repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 4  # tokens of a piece that may come again
SHORT = 16  # tokens; fewer say nothing about repetition
HALF = 0.5


def repetition(tokens: Sequence[int], gram: int = GRAM) -> float:
    """The share of a text's pieces of `gram` tokens that stood there before, 0 to 1.

    seq-rep-n of Welleck et al. 2020, arXiv:1908.04319, eq. 10; 0 for texts shorter than a piece.
    """
    pieces = [tuple(tokens[i : i + gram]) for i in range(len(tokens) - gram + 1)]
    return 1 - len(set(pieces)) / len(pieces) if pieces else 0.0


def degenerate(text: str, tokens: Sequence[int]) -> bool:
    """Whether an answer has no words, or at least half of its pieces of 4 tokens are repeated.

    Repetition is judged from 16 tokens on. Such an answer is neither a refusal nor a success.
    """
    return not text.strip() or (len(tokens) >= SHORT and repetition(tokens) >= HALF)
