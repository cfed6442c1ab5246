"""The phases of training: how many steps, at which rate, and what stays as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Phase:
    """One phase of training: AdamW, a linear warm-up, a cosine down to `floor` of the peak rate.

    `decay` shrinks matrices only. Tensors whose names begin with one of `frozen` stay as they are.
    """

    number: int
    steps: int
    rate: float
    warmup: int
    decay: float
    frozen: tuple[str, ...] = ()
    floor: float = 0.05

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0 on."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done)))

    def trains(self, name: str) -> bool:
        """Whether this phase moves the tensor of that name."""
        return not name.startswith(self.frozen)


PHASES: tuple[Phase, ...] = (
    Phase(1, steps=900, rate=4e-3, warmup=50, decay=0.05),
    Phase(2, steps=200, rate=1e-3, warmup=20, decay=0.0,
          frozen=("model.embed_tokens", "model.layers.3.", "model.norm", "lm_head")),
)  # fmt: skip
"""What the shipped model went through."""


def shorter(frozen: tuple[str, ...] = PHASES[1].frozen) -> tuple[Phase, ...]:
    """The same in fewer steps, which suffice the other kinds; `frozen` are their upper tensors."""
    first, second = PHASES
    return replace(first, steps=600), replace(second, steps=150, frozen=frozen)
