"""Late residuals at the ends of prompts: scores that look at no token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model

SHARE = 0.1  # of the layers


def residual_at(layer: int) -> str:
    """The residual before a block."""
    return f"blocks.{layer}.hook_resid_pre"


@dataclass
class LateMeans:
    """Sums over prompts of the residual at their ends, by layer: [variants, layers, d_model]."""

    layers: Sequence[int]
    sums: torch.Tensor
    prompts: int = 0

    @classmethod
    def empty(cls, model: Model, layers: Sequence[int], variants: int) -> LateMeans:
        """Nothing added yet."""
        shape = variants, len(layers), model.cfg.d_model
        return cls(layers, torch.zeros(shape, dtype=torch.float64))

    def watch(
        self, taps: _core.Taps, variants: Sequence[int], ends: Sequence[int], start: int = 0
    ) -> None:
        """Let a run's taps add what its rows have at these places, from block `start` on."""
        for index, layer in enumerate(self.layers):
            if layer >= start:
                taps.write(residual_at(layer), self._adder(index, list(variants), ends))

    def _adder(
        self, index: int, variants: list[int], ends: Sequence[int]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        def add(tensor: torch.Tensor) -> torch.Tensor:
            for place in ends:  # one by one: the same order of additions in any batch
                self.sums[variants, index] += tensor[:, place].cpu().double()
            return tensor

        return add

    def means(self) -> torch.Tensor:
        """[variants, layers, d_model]."""
        return self.sums / self.prompts


def low_layers(positive: torch.Tensor, negative: torch.Tensor, share: float = SHARE) -> list[int]:
    """Which rows of two classes' means [layers, d_model] are the least alike: a share of them."""
    alike = torch.nn.functional.cosine_similarity(positive, negative, dim=-1)
    count = math.ceil(share * len(alike))
    return sorted(alike.argsort(stable=True)[:count].tolist())


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of means [variants, layers, d_model] with means [layers, d_model], layers joined."""
    return torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten()[None], dim=-1)


@dataclass(frozen=True)
class Ends:
    """Means of both classes on the low layers, unchanged: what changed ones are compared with.

    positive, negative: [layers, d_model] float64.
    """

    layers: list[int]
    positive: torch.Tensor
    negative: torch.Tensor

    @classmethod
    def of(cls, layers: Sequence[int], means: Mapping[str, torch.Tensor]) -> Ends:
        """From the means of all layers that were looked at."""
        low = low_layers(means["positive"], means["negative"])
        return cls([layers[i] for i in low], means["positive"][low], means["negative"][low])

    def contrast(self, means: torch.Tensor) -> torch.Tensor:
        """How much nearer means [variants, layers, d_model] are to the positive class."""
        return cosine(means, self.positive) - cosine(means, self.negative)

    def swapped(self, ablated: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
        """COSMIC: cos(ablated positives, negatives) + cos(negatives added to, positives).

        Of means over the low layers' residuals at the last place of each prompt, joined; 2 where
        ablation and addition exchange the classes.

        Source: Siu et al. 2025 (arXiv 2506.00085), with means over prompts.
        """
        return cosine(ablated, self.negative) + cosine(added, self.positive)
