"""Learned soups: coefficients by gradient descent on a held-out set, through the average itself.

With W = Σ c_i W_i the gradient by a coefficient is dL/dc_i = ⟨dL/dW, W_i⟩ (over a base:
⟨dL/dW, W_i - W_0⟩), summed over the tensors that share it: one backward pass through the model,
then products of what it left with the models' tensors. Wortsman et al. 2022, arXiv:2203.05482, has
one coefficient a model, or one a model and layer, within the simplex (appendix, learned soups).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.soups.coefficients import Group
from lenswright.soups.held_out import HeldOut

if TYPE_CHECKING:
    from lenswright.model import Model

Tensors = Mapping[str, torch.Tensor]
Say = Callable[[int, float], None]


class Blend:
    """A model whose tensors are a weighted sum of several models' tensors, or of what they add.

    Args:
        model: takes the sums; its tensors must not be anybody else's, and be float32 or float64.
        parts: tensors of each model.
        base: tensors that the sum is added to, of which the parts' differences are taken then.
        groups: tensors that share coefficients.
    """

    def __init__(
        self, model: Model, parts: Sequence[Tensors], base: Tensors | None, groups: Sequence[Group]
    ) -> None:
        self.model, self.parts, self.base, self.groups = model, parts, base, groups
        self.tensors = model.parameters()

    def _part(self, index: int, name: str) -> torch.Tensor:
        value = self.parts[index][name].cpu().double()
        return value if self.base is None else value - self.base[name].cpu().double()

    def set(self, coefficients: torch.Tensor) -> None:
        """Put the sum of coefficients [models, groups] into the model; summed in float64."""
        with torch.no_grad():
            for g, group in enumerate(self.groups):
                for name in group.tensors:
                    total = torch.zeros(self.tensors[name].shape, dtype=torch.float64)
                    if self.base is not None:
                        total += self.base[name].cpu().double()
                    for i in range(len(self.parts)):
                        total += coefficients[i, g] * self._part(i, name)
                    self.tensors[name].copy_(total)

    def gradient(self, held_out: HeldOut, coefficients: torch.Tensor) -> tuple[float, torch.Tensor]:
        """The loss at coefficients [models, groups], and its gradient of the same shape."""
        self.set(coefficients)
        for tensor in self.tensors.values():
            tensor.requires_grad_(True)
        try:
            loss = held_out.backward(self.model)
            found = torch.zeros_like(coefficients)
            for g, group in enumerate(self.groups):
                for name in group.tensors:
                    slope = self.tensors[name].grad
                    if slope is None:  # the run has no use for it
                        continue
                    for i in range(len(self.parts)):
                        found[i, g] += torch.sum(slope.cpu().double() * self._part(i, name))
            return loss, found
        finally:
            for tensor in self.tensors.values():
                tensor.requires_grad_(False).grad = None


def learn(
    blend: Blend, held_out: HeldOut, start: torch.Tensor, simplex: bool, steps: int, rate: float,
    say: Say,
) -> torch.Tensor:  # fmt: skip
    """Coefficients [models, groups] by Adam (Kingma and Ba 2015), the best that were met.

    Args:
        start: coefficients to begin with.
        simplex: keep those of each group positive with the sum 1: softmax of what is learned, whose
            gradient is c ⊙ (dL/dc - ⟨c, dL/dc⟩).
        say: is told each step and its loss.
    """
    raw = (start.log() if simplex else start.clone()).requires_grad_(True)
    optimizer = torch.optim.Adam([raw], lr=rate)
    best, least = start, float("inf")
    for step in range(steps + 1):
        with torch.no_grad():
            now = raw.softmax(0) if simplex else raw.clone()
        loss, slope = blend.gradient(held_out, now)
        say(step, loss)
        if loss < least:
            best, least = now, loss
        if step == steps:
            break
        raw.grad = now * (slope - (now * slope).sum(0)) if simplex else slope
        optimizer.step()
    return best
