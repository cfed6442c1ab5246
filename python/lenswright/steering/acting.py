"""A steering's operations on a run: taps that compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.reading import Reading
from lenswright.steering.places import Meant
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
    pace = Pace(term, term.places.meant(reading, model), reading)
    for point, layer in term.points(model):
        acting = Acting.of(model, term, layer, pace)
        if pace.always == 0:
            continue
        if pace.always == 1 and acting.whole is not None:
            taps.add(point, acting.whole)
        else:
            taps.write(point, acting)


class Pace:
    """How much a term does at each token of a pass, found once for all its layers.

    Its positions and its schedule over tokens. Most passes have one number for all their tokens,
    nothing or everything, and need no tensor of weights. `always` is the number that all passes
    have, where that is known beforehand.
    """

    def __init__(self, term: Term, meant: Meant, reading: Reading) -> None:
        self.term, self.meant, self.reading = term, meant, reading
        self.always: float | None = None
        if reading.behind and not meant.decode:
            self.always = 0.0
        elif term.over_tokens is None and (term.places.everywhere or reading.behind):
            self.always = 1.0
        self._seen: torch.Tensor | None = None  # the positions of the pass it was found for
        self._found: float | torch.Tensor = 1.0

    def now(self) -> float | torch.Tensor:
        """Of the pass under way: one number, or [rows, pos] float64."""
        if self.always is not None:
            return self.always
        now = self.reading.now()
        if now is not self._seen:
            self._seen, self._found = now, self._of(now.cpu())
        return self._found

    def _of(self, now: torch.Tensor) -> float | torch.Tensor:
        prompts = self.reading.prompts
        weight = self.meant.mask(now, prompts).to(torch.float64)
        if self.term.over_tokens is not None:
            said = (now - prompts[:, None] + 1).clamp_min(0)  # 0: the prompt; 1: the first token
            weight = weight * self.term.over_tokens.at(said)
        first = float(weight[0, 0])
        return first if bool((weight == first).all()) else weight


@dataclass(frozen=True)
class Acting:
    """One term at one layer: h' = h + w k(⟨h, axis⟩) axis, rescaled where norms are preserved.

    w is the weight: that of the term, its schedules, its positions and its condition.
    """

    term: Term
    pace: Pace
    axis: torch.Tensor  # [d_model], length 1
    condition: torch.Tensor | None
    value: torch.Tensor  # strength in its unit; parts of the token's norm where that is "token"
    shift: torch.Tensor | None  # what is added, where that is the same for every token
    whole: torch.Tensor | None  # that times the weight, where nothing else depends on the token
    weight: float

    @classmethod
    def of(cls, model: Model, term: Term, layer: int, pace: Pace) -> Acting:
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
        constant = term.operation == "add" and term.unit != "token"
        weight = term.weight * (1.0 if term.over_layers is None else term.over_layers(layer))
        device = model.core.device
        shift = (value * axis).to(device, wide) if constant else None
        plain = shift is not None and term.condition is None and not term.preserve_norm
        return cls(
            term, pace, axis.to(device, wide), None if seen is None else seen.to(device, wide),
            value.to(device, wide), shift, weight * shift if plain and shift is not None else None,
            weight,
        )  # fmt: skip

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """What the run goes on with instead of [batch, pos, d_model]."""
        pace = self.pace.now()
        if isinstance(pace, float) and pace == 0:  # where nothing is done nothing is rounded
            return tensor
        h = tensor.to(self.axis.dtype)
        if self.whole is not None and isinstance(pace, float):
            return (h + (self.whole if pace == 1 else pace * self.whole)).to(tensor.dtype)
        weight = self._weight(pace, tensor)
        if self.condition is not None:
            weight = weight * self._met(h, self.condition)
        change = self._coefficient(h) * self.axis if self.shift is None else self.shift
        changed = h + weight * change
        if self.term.preserve_norm:
            changed = changed * (_norm(h) / _norm(changed).clamp_min(_TINY))
        if isinstance(weight, torch.Tensor):
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

    def _weight(self, pace: float | torch.Tensor, tensor: torch.Tensor) -> float | torch.Tensor:
        """The weight of every token: one number, or [batch, pos, 1]."""
        if isinstance(pace, float):
            return pace * self.weight
        # One row stands for all while they share a beginning.
        weight = (pace * self.weight)[: tensor.shape[0], :, None]
        return weight.to(tensor.device, self.axis.dtype)

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
