"""One misreading of a model, and what a text says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

MARGIN = 0.02
"""Nats a token by which a misreading must be better to be believed."""
SURE = 3.0
"""And by how many standard errors of the paired differences."""
CLEARLY = (0.1, 6.0)
"""Nats and standard errors by which a misreading is worse when no more text is read under it."""
CLOSE = 6.0
"""No more is read where so many standard errors stay within half a margin of no difference."""


@dataclass
class Knob:
    """One misreading: its loss beside that of the model as read, on the same tokens."""

    knob: str
    value: str
    name: str
    differences: list[torch.Tensor] = field(default_factory=list, repr=False)
    read: float = 0.0
    same: float = 1e-4
    sight: int = 0  # rows up to so many tokens read the same either way
    row: int = 0  # tokens of the longest row there was
    excuse: str = ""  # what else predicts the text as well

    @property
    def all(self) -> torch.Tensor:
        """Loss misread minus loss as read, token by token."""
        return torch.cat(self.differences) if self.differences else torch.zeros(0)

    @property
    def difference(self) -> float:
        """Nats a token that the misreading loses."""
        return float(self.all.mean()) if self.differences else 0.0

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return float(self.all.std() / math.sqrt(len(self.all))) if self.differences else 0.0

    @property
    def loss(self) -> float:
        """The loss misread."""
        return self.read + self.difference

    @property
    def verdict(self) -> str:
        """BETTER (the model is misread), worse (it is not), too close to tell, or not visible."""
        if not self.differences:
            return f"cannot be seen with {self.row:,} tokens"
        if float(self.all.abs().max()) <= self.same:
            return "not visible"
        if self.clearly_better:
            return self.excuse or "BETTER"
        sure = self.difference > max(2 * self.error, 10 * self.same)
        return "worse" if sure or math.isnan(self.difference) else "too close"

    @property
    def clearly_better(self) -> bool:
        """Whether the text is predicted better by more than chance."""
        return self.difference <= -MARGIN and self.difference <= -SURE * self.error

    @property
    def decided(self) -> bool:
        """Whether more text could not make it better."""
        nats, errors = CLEARLY
        d = self.difference
        worse = d > nats and d > errors * self.error
        return math.isnan(d) or worse or abs(d) + CLOSE * self.error < MARGIN / 2

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "knob": self.knob, "value": self.value, "loss_read": self.read, "loss": self.loss,
            "difference": self.difference, "standard_error": self.error,
            "tokens": len(self.all), "sight": self.sight, "verdict": self.verdict,
        }  # fmt: skip
