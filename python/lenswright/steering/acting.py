"""A steering's operations on a run: taps that compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.reading import Reading
from lenswright.steering.places import Places
from lenswright.steering.term import Term

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model

Tap = Callable[[torch.Tensor], torch.Tensor]

_TINY = 1e-30


def act(model: Model, taps: _core.Taps, term: Term, reading: Reading) -> None:
    """Put a term into a run's taps.

    Computed in the run's type, in float32 where that has 16 bits.

    Raises:
        ValueError, IndexError, KeyError: the model or its prompts have no such place; a strength
            that the run's type does not hold.
    """
    width = model.cfg.d_model
    if term.aim.width != width:
        raise ValueError(
            f"the steering has directions of {term.aim.width} numbers, but d_model is {width}: it "
            "was made for another model"
        )
    term.places.check(reading, model)
    places = term.places.resolved(model)
    for point, layer in term.points(model):
        taps.write(point, Acting.of(model, term, layer, places, reading))


@dataclass(frozen=True)
class Acting:
    """One term at one layer: h' = h + w k(⟨h, axis⟩) axis, rescaled where norms are preserved.

    w is the weight: that of the term, its schedules, its positions and its condition.
    """

    term: Term
    places: Places
    reading: Reading
    axis: torch.Tensor  # [d_model], length 1
    condition: torch.Tensor | None
    value: torch.Tensor  # strength in its unit; parts of the token's norm where that is "token"
    shift: torch.Tensor | None  # what is added, where that is the same for every token
    alike: bool  # no token has a weight of its own
    weight: float

    @classmethod
    def of(cls, model: Model, term: Term, layer: int, places: Places, reading: Reading) -> Acting:
        """Prepared for the type and device of a model."""
        wide = torch.promote_types(model.core.dtype, torch.float32)
        axis = term.aim.unit(layer)
        if term.other is not None:  # the reflection that exchanges two unit vectors
            gap = axis - term.other.unit(layer)
            axis = gap / gap.norm()
        seen = None if term.condition is None else term.condition.aim.unit(layer)
        value = term.strength * unit_length(term, layer)
        if float(value.detach().abs()) > torch.finfo(model.core.dtype).max:
            held = str(model.core.dtype).removeprefix("torch.")
            raise ValueError(f"strength is {value:g} at layer {layer}, more than {held} holds")
        alike = places.everywhere and term.over_tokens is None and term.condition is None
        constant = term.operation == "add" and term.unit != "token"
        weight = term.weight * (1.0 if term.over_layers is None else term.over_layers(layer))
        device = model.core.device
        return cls(
            term, places, reading, axis.to(device, wide),
            None if seen is None else seen.to(device, wide), value.to(device, wide),
            (value * axis).to(device, wide) if constant else None, alike, weight,
        )  # fmt: skip

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """What the run goes on with instead of [batch, pos, d_model]."""
        h = tensor.to(self.axis.dtype)
        if self.alike and self.shift is not None and not self.term.preserve_norm:
            return (h + self.weight * self.shift).to(tensor.dtype)
        weight = self.weight if self.alike else self._weight(tensor)
        if self.condition is not None:
            weight = weight * self._met(h, self.condition)
        change = self._coefficient(h) * self.axis if self.shift is None else self.shift
        changed = h + weight * change
        if self.term.preserve_norm:
            changed = changed * (_norm(h) / _norm(changed).clamp_min(_TINY))
        if isinstance(weight, torch.Tensor):  # where nothing is done nothing is rounded
            changed = torch.where(weight != 0, changed, h)
        return changed.to(tensor.dtype)

    def _coefficient(self, h: torch.Tensor) -> torch.Tensor:
        """k: how much of the axis is added, [batch, pos, 1]."""
        operation, strength = self.term.operation, self.term.strength
        value = self.value * _norm(h) if self.term.unit == "token" else self.value
        if operation == "add":
            return value
        component = (h * self.axis).sum(-1, keepdim=True)
        if operation == "project":
            return -strength * component
        if operation == "scale":
            return (strength - 1) * component
        if operation == "swap":
            return -2 * strength * component
        if operation == "clamp":
            return value - component
        if operation == "cap":
            return (value - component).clamp_max(0)
        assert operation == "floor"
        return (value - component).clamp_min(0)

    def _weight(self, tensor: torch.Tensor) -> torch.Tensor:
        """The weight of every token by its position [batch, pos, 1]."""
        term = self.term
        now = self.reading.now().to(tensor.device)
        prompts = self.reading.prompts.to(tensor.device)
        weight = self.places.mask(now, prompts) * torch.tensor(
            self.weight, dtype=torch.float64, device=tensor.device
        )
        if term.over_tokens is not None:
            said = (now - prompts[:, None] + 1).clamp_min(0)  # 0: the prompt; 1: the first token
            weight = weight * term.over_tokens.at(said)
        weight = weight[: tensor.shape[0]]  # one row stands for all while they share a beginning
        return weight[..., None].to(self.axis.dtype)

    def _met(self, h: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        condition = self.term.condition
        assert condition is not None
        component = (h * seen).sum(-1, keepdim=True)
        limit = condition.threshold * (_norm(h) if condition.unit == "token" else 1.0)
        met = component < limit if condition.below else component > limit
        return met.to(h.dtype)


def unit_length(term: Term, layer: int) -> torch.Tensor:
    """What a strength of 1 is at a layer."""
    if term.unit == "own":
        return term.aim.at(layer).norm()
    return torch.tensor(term.norms[layer] if term.unit == "relative" else 1.0, dtype=torch.float64)


def _norm(h: torch.Tensor) -> torch.Tensor:
    return h.norm(dim=-1, keepdim=True)
