"""One operation of a steering: what it does along which direction, where, when and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lenswright.names import unknown
from lenswright.nearest import expected_one_of
from lenswright.steering.aim import Aim
from lenswright.steering.condition import Condition
from lenswright.steering.places import Places
from lenswright.steering.schedule import Schedule

if TYPE_CHECKING:
    from lenswright.model import Model

OPERATIONS = ("add", "project", "clamp", "scale", "swap", "cap", "floor")
UNITS = ("absolute", "relative", "token", "own")
VALUED = ("add", "clamp", "cap", "floor")  # their strength is a length and has a unit
WRITES = "writes"

_SAID = {
    "add": "add {strength}", "project": "project out {strength}", "clamp": "clamp to {strength}",
    "scale": "scale by {strength}", "swap": "swap {strength}", "cap": "cap at {strength}",
    "floor": "hold above {strength}",
}  # fmt: skip
_UNIT_SAID = {
    "absolute": "", "relative": " x the mean norm", "token": " x the token's norm",
    "own": " x the vector",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Term:
    """One operation: immutable and checked. See `lenswright.steering` for what the fields mean."""

    operation: str
    aim: Aim
    layers: tuple[int, ...] | None  # None: all
    strength: float = 1.0
    unit: str = "absolute"
    at: str = "resid_pre"
    places: Places = field(default_factory=lambda: Places(("all",)))
    other: Aim | None = None  # of a swap
    condition: Condition | None = None
    over_tokens: Schedule | None = None
    over_layers: Schedule | None = None
    norms: Mapping[int, float] = field(default_factory=dict)
    preserve_norm: bool = False
    weight: float = 1.0
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise ValueError(expected_one_of("operation", self.operation, OPERATIONS, cutoff=0.4))
        if self.unit not in UNITS:
            raise ValueError(expected_one_of("unit", self.unit, UNITS, cutoff=0.4))
        self._check_numbers()
        self._check_layers()
        for name, aim in self._aims().items():
            if aim is not None and aim.width != self.aim.width:
                raise ValueError(
                    f"{name} has {aim.width} numbers, expected {self.aim.width} as direction"
                )
        if self.layers is not None:
            for layer in self.layers:
                if layer >= 0:
                    self._check_vectors(layer)

    def _check_numbers(self) -> None:
        for name in ("strength", "weight"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a finite number")
        held = self.operation in ("cap", "floor", "clamp") and self.unit == "token"
        if held and not -1 <= self.strength <= 1:
            raise ValueError(
                f"strength is {self.strength:g}, expected -1 to 1: a component is no longer than "
                "its token's norm"
            )
        if (self.unit == "relative") != bool(self.norms):
            raise ValueError(
                "unit is 'relative', which needs norms: {layer: mean norm}, as "
                "lw.steering.residual_norms gives them"
                if self.unit == "relative"
                else f"norms are given, but unit is '{self.unit}', expected 'relative'"
            )
        for layer, norm in self.norms.items():
            if not (math.isfinite(norm) and norm > 0):
                raise ValueError(f"norms has {norm} for layer {layer}, expected positive numbers")

    def _check_layers(self) -> None:
        if self.layers is None:
            return
        if not self.layers:
            raise ValueError("layers is empty, expected at least one")
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers is {list(self.layers)}, expected none twice")

    def _check_vectors(self, layer: int) -> None:
        """See that there is everything a layer needs."""
        for name, aim in self._aims().items():
            if aim is not None and aim.whole is None and layer not in aim.layers:
                raise ValueError(
                    f"layers has {layer}, but {name} has vectors of {sorted(aim.layers)} only"
                )
        if self.norms and layer not in self.norms:
            raise ValueError(f"layers has {layer}, but norms has {sorted(self.norms)} only")
        if self.other is not None:
            gap = float((self.aim.unit(layer) - self.other.unit(layer)).detach().norm())
            if gap < 1e-6:
                raise ValueError("direction and other are the same direction, expected two to swap")

    def _aims(self) -> dict[str, Aim | None]:
        seen = None if self.condition is None else self.condition.aim
        return {"direction": self.aim, "other": self.other, "when": seen}

    def resolved(self, model: Model) -> list[int]:
        """The layers meant, in the order of a run.

        Raises:
            IndexError: the model has no such layer.
            ValueError: a layer twice, or without a vector.
        """
        count = model.cfg.n_layers
        asked = range(count) if self.layers is None else self.layers
        for layer in asked:
            if not -count <= layer < count:
                raise IndexError(f"layers has {layer}, expected {-count} to {count - 1}")
        found = sorted(layer % count for layer in asked)
        if len(set(found)) < len(found):
            raise ValueError(f"layers is {list(asked)}, which names a layer of {count} twice")
        for layer in found:
            self._check_vectors(layer)
        return found

    def points(self, model: Model) -> Iterator[tuple[str, int]]:
        """Where it acts: (point, layer).

        Raises:
            KeyError: the model has no such point.
            ValueError: a point that is not [batch, pos, d_model].
        """
        for layer in self.resolved(model):
            if self.at == WRITES:
                # All that was written before the first block is its residual.
                names = ["resid_pre"] * (layer == 0) + ["attn_out", "mlp_out"]
            else:
                names = [self.at]
            for name in names:
                point = f"blocks.{layer}.hook_{name}"
                if point not in model._shapes:
                    raise unknown(point, model.names.all, f"at is '{self.at}': hook name")
                if model._shapes[point] != ("batch", "pos", str(model.cfg.d_model)):
                    shape = ", ".join(model._shapes[point])
                    raise ValueError(
                        f"at is '{self.at}', but '{point}' is [{shape}], expected a point of "
                        "[batch, pos, d_model]"
                    )
                yield point, layer

    def __str__(self) -> str:
        strength = f"{self.strength:g}" + (_UNIT_SAID[self.unit] if self._valued else "")
        said = [_SAID[self.operation].format(strength=strength).removesuffix(" 1")]
        if self.weight != 1:
            said[0] = f"{self.weight:g} x ({said[0]})"
        layers = "all layers" if self.layers is None else f"layers {_ranges(self.layers)}"
        said[0] += (
            f" at {self.at} of {layers.replace('layers ', 'layer ') if self._one else layers}"
        )
        if not self.places.everywhere:
            said.append(f"positions {self.places}")
        if self.condition is not None:
            said.append(str(self.condition))
        if self.over_tokens is not None:
            said.append(f"over tokens {{{self.over_tokens}}}")
        if self.over_layers is not None:
            said.append(f"over layers {{{self.over_layers}}}")
        if self.preserve_norm:
            said.append("norm preserved")
        return ", ".join(said)

    @property
    def _valued(self) -> bool:
        return self.operation in VALUED

    @property
    def _one(self) -> bool:
        return self.layers is not None and len(self.layers) == 1


def _ranges(layers: tuple[int, ...]) -> str:
    """2, 5..7 of (2, 5, 6, 7)."""
    parts: list[list[int]] = []
    for layer in layers:
        if parts and layer == parts[-1][-1] + 1:
            parts[-1].append(layer)
        else:
            parts.append([layer])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}..{p[-1]}" for p in parts)
