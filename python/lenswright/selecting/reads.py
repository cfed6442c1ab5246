"""What is read of a run's final residuals: log-probabilities of tokens, and divergences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.measuring.forcing import log_probs

if TYPE_CHECKING:
    from lenswright.model import Model


@dataclass(frozen=True)
class TokenRead:
    """The log-probability of `target` behind a place; goes to `result` [variants, tokens]."""

    place: int
    target: int
    result: torch.Tensor
    step: int


@dataclass
class SpreadRead:
    """KL(first variant || each) of the next token behind a place, nats; to `result` [variants]."""

    place: int
    result: torch.Tensor
    base: tuple[torch.Tensor, torch.Tensor] | None = None  # log p and p of the first variant


Read = TokenRead | SpreadRead


def read_all(
    model: Model,
    reads: Sequence[Read],
    places: Sequence[int],
    residual: torch.Tensor,
    variants: Sequence[int],
) -> None:
    """Read what is wanted of final residuals [variants, places, d_model]; the first variant, number
    0, is to come first.
    """
    at = {place: index for index, place in enumerate(places)}
    by_place: list[list[Read]] = [[] for _ in places]
    for read in reads:
        by_place[at[read.place]].append(read)
    # By place: a place's variants stand together, so that its base is at hand.
    flat = residual.transpose(0, 1).flatten(0, 1)
    count = len(variants)
    for part, table in log_probs(model, flat):
        for index in range(part.start // count, (part.stop - 1) // count + 1):
            first = max(index * count, part.start)
            last = min((index + 1) * count, part.stop)
            rows = table[first - part.start : last - part.start]
            own = [variants[i - index * count] for i in range(first, last)]
            for read in by_place[index]:
                _take(read, rows, own)


def _take(read: Read, rows: torch.Tensor, variants: list[int]) -> None:
    if isinstance(read, TokenRead):
        read.result[variants, read.step] = rows[:, read.target].cpu()
        return
    if variants[0] == 0:
        read.base = rows[0].clone(), rows[0].exp()
    assert read.base is not None
    log_p, p = read.base
    for variant, log_q in zip(variants, rows, strict=True):
        read.result[variant] = (p * (log_p - log_q)).sum()
