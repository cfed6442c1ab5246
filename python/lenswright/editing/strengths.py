"""How strongly each writer is edited: one number, one for each layer, or a kernel over layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright.model import Model


@dataclass(frozen=True)
class Kernel:
    """A strength for each layer that falls off linearly on both sides of one of them.

    w(l) = max_weight + |l - position| / distance · (min_weight - max_weight) as far as `distance`;
    layers beyond are left alone. The shape that heretic searches over, one for each kind of writer.

    Args:
        position: layer of the largest weight; may lie between layers.
        distance: how far it reaches, in layers; more than 0.
        max_weight, min_weight: at the position and at the distance; finite.

    Raises:
        ValueError: a number is not finite, a weight beyond 1000, or distance not above 0.
    """

    position: float
    distance: float
    max_weight: float = 1.0
    min_weight: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            in_range(value, name) if name.endswith("weight") else finite(value, name)
        if self.distance <= 0:
            raise ValueError(f"distance is {self.distance}, expected more than 0")

    def at(self, layer: int) -> float | None:
        """The weight of a layer, or None where it is left alone."""
        away = abs(layer - self.position)
        if away > self.distance:
            return None
        return self.max_weight + away / self.distance * (self.min_weight - self.max_weight)


Layered = float | Kernel | Mapping[int, float]
Strength = Layered | Mapping[str, Layered]


def finite(value: float, name: str) -> float:
    """The value as a float; ValueError where it is not finite."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, expected a finite number")
    return float(value)


LARGEST = 1000.0
"""Of a strength, either way. 1 removes a direction and 2 reflects it; what is meant as a length or
as a percentage, or typed wrong, is told rather than written."""


def in_range(value: float, name: str = "strength") -> float:
    """The strength as a float; ValueError where it is not finite, or beyond 1000."""
    if abs(finite(value, name)) > LARGEST:
        raise ValueError(
            f"{name} is {value}, expected a number between {-LARGEST:g} and {LARGEST:g} (1 removes)"
        )
    return float(value)


@dataclass(frozen=True)
class Resolved:
    """Strengths as the core takes them: of all writers, of some by name, and why some have none."""

    all: float
    writers: dict[str, float]
    spared: dict[str, str]
    told: Any  # for the provenance


def resolve_strength(model: Model, strength: Strength) -> Resolved:
    """Strengths of a model's writers.

    Args:
        strength: a number; a `Kernel`; {layer: number}; or one of these for each kind of writer,
            {"attention": ..., "mlp": ...}. Writers that it does not name are left alone.

    Raises:
        TypeError: it is none of these.
        ValueError: a kind of writer that the model does not have; a strength beyond 1000.
        IndexError: a layer it does not have.
    """
    if isinstance(strength, (int, float)):
        value = in_range(strength)
        return Resolved(value, {}, {}, value)
    by_kind = isinstance(strength, Mapping) and any(isinstance(key, str) for key in strength)
    sites = model.writers()
    if by_kind:
        _check_kinds(strength, {site["kind"] for site in sites})  # type: ignore[arg-type]
    writers: dict[str, float] = {}
    spared: dict[str, str] = {}
    for site in sites:
        rule: Any = strength
        if by_kind:
            rule = strength.get(site["kind"])  # type: ignore[union-attr]
            if rule is None:
                spared[site["name"]] = f"no strength is given for kind '{site['kind']}'"
                continue
        weight, why = _at(rule, site["layer"], model.cfg.n_layers)
        if weight is None:
            spared[site["name"]] = why
        else:
            writers[site["name"]] = weight
    return Resolved(1.0, writers, spared, _told(strength))


def _at(rule: Any, layer: int, n_layers: int) -> tuple[float | None, str]:
    if isinstance(rule, (int, float)):
        return in_range(rule), ""
    if not isinstance(rule, (Kernel, Mapping)):
        raise TypeError(
            f"strength has {type(rule).__name__}, expected a number, a Kernel or {{layer: number}}"
        )
    if isinstance(rule, Mapping):
        wrong = [key for key in rule if not (isinstance(key, int) and 0 <= key < n_layers)]
        if wrong:
            raise IndexError(f"strength has layer {wrong[0]!r}, expected 0 to {n_layers - 1}")
    if layer < 0:
        return None, "strengths are given for layers, and it is in none"
    if isinstance(rule, Kernel):
        weight = rule.at(layer)
        return weight, f"farther than {rule.distance:g} layers from {rule.position:g}"
    weight = rule.get(layer)
    return None if weight is None else in_range(weight), f"no strength is given for layer {layer}"


def _check_kinds(strength: Mapping[Any, Any], kinds: set[str]) -> None:
    for kind in strength:
        if kind in kinds:
            continue
        hint = did_you_mean(kind, kinds)
        raise ValueError(f"strength has kind {kind!r}, expected of {sorted(kinds)}{hint}")


def _told(strength: Any) -> Any:
    if isinstance(strength, Kernel):
        return {"kernel": asdict(strength)}
    if isinstance(strength, Mapping):
        return {str(key): _told(value) for key, value in strength.items()}
    return float(strength)
