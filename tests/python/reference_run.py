"""One forward of the oracle, and what its points should be of each other."""

from __future__ import annotations

from pathlib import Path

import torch

from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import random_tokens

LIMIT = 1e-12
LENGTH = 13


class Run:
    """One forward of the oracle with what the checks need of the model."""

    def __init__(self, folder: Path) -> None:
        self.ref = Reference(folder)
        tokens = random_tokens(3, LENGTH)
        self.at = self.ref.points(tokens, [*self.ref.names(), "logits"])
        self.text = self.ref.config.get_text_config()

    def block(self, layer: int) -> dict[str, torch.Tensor]:
        start = f"blocks.{layer}."
        return {n.removeprefix(start): v for n, v in self.at.items() if n.startswith(start)}

    def blocks(self) -> list[dict[str, torch.Tensor]]:
        return [self.block(layer) for layer in range(self.ref.n_layers)]


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal to the oracle's own rounding."""
    assert relative_error(ours, theirs) <= LIMIT
