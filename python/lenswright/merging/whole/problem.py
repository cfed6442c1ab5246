"""One tensor to be merged, as methods of whole matrices see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lenswright.merging.alignment.places import Places

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.\d+\.")


def is_of_layer(tensor: str) -> bool:
    """Whether a tensor is one of a numbered layer."""
    return bool(_LAYER.search(tensor))


@dataclass(frozen=True)
class Problem:
    """Inputs in float64, in the recipe's order; the base apart, None where there is none.

    values: of the merge. own: of each model. statistic(i): what was measured of model i for this
    tensor, None where nothing was. extra(name): another tensor of the first model's file, likewise.
    places(): where the weights of the result lie.
    """

    tensor: str
    models: list[torch.Tensor]
    base: torch.Tensor | None
    values: Mapping[str, float]
    own: list[Mapping[str, float]]
    statistic: Callable[[int], torch.Tensor | None]
    extra: Callable[[str], torch.Tensor | None]
    places: Callable[[], Places]

    @property
    def is_matrix(self) -> bool:
        """Of a layer, and not a vector: tables of embeddings have rows, not directions."""
        return self.models[0].ndim >= 2 and is_of_layer(self.tensor)

    def weights(self) -> list[float]:
        """Of each model."""
        return [own["weight"] for own in self.own]

    def deltas(self) -> list[torch.Tensor]:
        """What each model has that the base lacks."""
        assert self.base is not None
        return [model - self.base for model in self.models]

    def weighted_mean(self) -> torch.Tensor:
        """Σ w x / Σ w; the plain mean where weights are equal."""
        weights = self.weights()
        if len(set(weights)) == 1:
            weights = [1.0] * len(weights)
        total = torch.zeros_like(self.models[0])
        for weight, model in zip(weights, self.models, strict=True):
            total += weight * model
        return total / sum(weights)
