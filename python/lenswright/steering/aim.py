"""The vectors a steering works along: one for every layer, or one each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lenswright import _core
from lenswright.directions import Directions
from lenswright.editing.aiming import unpacked
from lenswright.estimators.between_layers import layer_of


@dataclass(frozen=True, eq=False)
class Aim:
    """Vectors [d_model] in float64 with their lengths: `whole` for every layer, or `layers`'s own.

    They keep their gradients, so that a vector can be trained through the runs it steers.
    """

    whole: torch.Tensor | None
    layers: Mapping[int, torch.Tensor]

    def at(self, layer: int) -> torch.Tensor:
        """The vector of a layer."""
        return self.layers[layer] if self.whole is None else self.whole

    def unit(self, layer: int) -> torch.Tensor:
        """The vector of a layer at length 1."""
        vector = self.at(layer)
        return vector / vector.norm()

    @property
    def width(self) -> int:
        """d_model."""
        return self._any.shape[0]

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Every vector, "" for the one of every layer, else by the layer's number."""
        if self.whole is not None:
            return {"": self.whole}
        return {str(layer): vector for layer, vector in sorted(self.layers.items())}

    @property
    def _any(self) -> torch.Tensor:
        return self.whole if self.whole is not None else next(iter(self.layers.values()))

    def random(self, seed: int, index: int) -> Aim:
        """One random direction, uniform on the sphere, with the lengths of these vectors."""
        unit = _core.random_directions(index + 1, self.width, seed)[index]
        if self.whole is not None:
            return Aim(unit * self.whole.detach().norm(), {})
        lengths = {layer: vector.detach().norm() for layer, vector in self.layers.items()}
        return Aim(None, {layer: unit * length for layer, length in lengths.items()})


def aim_of(direction: object, name: str = "direction") -> tuple[Aim, int | None, dict[str, Any]]:
    """(vectors, the layer they were found at or None, provenance) of whatever names a direction.

    A tensor [d_model]; {layer: tensor}; a `Choice` or `Directions` with one direction, whose length
    is that of its difference of means.

    Raises:
        TypeError: it is none of these.
        ValueError: a vector is zero, not finite or of another shape.
    """
    (whole, layers), source = unpacked(direction)
    found: int | None = None
    raw = getattr(direction, "raw", None)
    if isinstance(direction, Directions):
        point, position = direction.points[0], direction.positions[0]
        whole, found = direction.raw(point, position), layer_of(point)
    elif isinstance(raw, torch.Tensor):
        whole = raw
    if whole is not None and found is None:
        found = getattr(direction, "layer", None)
    own = {_layer(layer, name): _kept(v, f"{name} of layer {layer}") for layer, v in layers.items()}
    aim = Aim(None if whole is None else _kept(whole, name), own)
    if len({vector.shape[0] for vector in aim.tensors.values()}) > 1:
        sizes = {layer: vector.shape[0] for layer, vector in own.items()}
        raise ValueError(f"{name} has vectors of sizes {sizes}, expected one size, d_model")
    return aim, found, dict(source or {})


def _layer(layer: object, name: str) -> int:
    if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0:
        raise ValueError(f"{name} has the layer {layer!r}, expected whole numbers from 0")
    return layer


def _kept(vector: object, name: str) -> torch.Tensor:
    """A float64 copy of a vector, checked; nobody else can change it."""
    if not isinstance(vector, torch.Tensor) or not vector.is_floating_point():
        what = str(vector.dtype) if isinstance(vector, torch.Tensor) else type(vector).__name__
        raise TypeError(f"{name} is {what}, expected a tensor of floating-point numbers [d_model]")
    if vector.dim() != 1 or not len(vector):
        raise ValueError(f"{name} has shape {list(vector.shape)}, expected [d_model]")
    with torch.inference_mode(False):  # a tensor of inference mode could never have gradients
        kept = vector.clone().to("cpu", torch.float64)
    if not bool(kept.isfinite().all()):
        raise ValueError(f"{name} has numbers that are not finite")
    if not bool(kept.any()):
        raise ValueError(f"{name} is zero, expected a direction")
    return kept
