"""A steering of one operation, made from what a call says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from lenswright.arguments import check_names
from lenswright.steering.aim import aim_of
from lenswright.steering.condition import Condition
from lenswright.steering.places import PlaceRule, Places
from lenswright.steering.schedule import Schedule
from lenswright.steering.term import OPERATIONS, VALUED, Term
from lenswright.steering.value import Steering


class Where(TypedDict, total=False):
    """Where, when and how much: arguments that all operations share. See `lenswright.steering`."""

    layers: int | str | Iterable[int] | None
    at: str
    positions: PlaceRule
    when: Condition | None
    over_tokens: Mapping[int, float] | None
    over_layers: Mapping[int, float] | None


def make(
    operation: str,
    direction: object,
    strength: float = 1.0,
    *,
    other: object = None,
    unit: str = "absolute",
    norms: Mapping[int, float] | None = None,
    preserve_norm: bool = False,
    **where: Any,
) -> Steering:
    """A steering by the name of its operation; `add`, `project` and their like in one function.

    Raises:
        ValueError, TypeError: as in `add`; arguments that the operation does not take.
    """
    check_names(f"{operation}()", where, tuple(Where.__annotations__))
    aim, found, source = aim_of(direction)
    second = None
    if (other is not None) != (operation == "swap"):
        raise ValueError(
            f"other is {'given' if other is not None else 'missing'}, but operation is "
            f"'{operation}'; expected a second direction for 'swap' and no other"
        )
    if other is not None:
        second, _, more = aim_of(other, "other")
        source = source | {"others": [more]}
    if operation in OPERATIONS and operation not in VALUED and unit != "absolute":
        raise ValueError(f"unit is '{unit}', but the strength of '{operation}' has none")
    condition = where.get("when")
    if condition is not None and not isinstance(condition, Condition):
        raise TypeError(f"when is {type(condition).__name__}, expected lw.steering.when(...)")
    tokens, over = where.get("over_tokens"), where.get("over_layers")
    term = Term(
        operation=operation, aim=aim, other=second, strength=_number(strength), unit=unit,
        layers=_layers(where.get("layers"), found, sorted(aim.layers)),
        at=where.get("at", "resid_pre"), places=Places.of(where.get("positions", "all")),
        condition=condition, norms=dict(norms or {}), preserve_norm=bool(preserve_norm),
        over_tokens=None if tokens is None else Schedule.of(tokens, "over_tokens"),
        over_layers=None if over is None else Schedule.of(over, "over_layers"), source=source,
    )  # fmt: skip
    return Steering([term])


def _number(strength: object) -> float:
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise TypeError(f"strength is {type(strength).__name__}, expected a number")
    return float(strength)


def _layers(layers: Any, found: int | None, own: list[int]) -> tuple[int, ...] | None:
    if layers is None:
        if own or found is not None:
            return tuple(own or [found])  # type: ignore[list-item]
        raise ValueError("layers is missing, expected a layer, several, or 'all'")
    if isinstance(layers, str):
        if layers != "all":
            raise ValueError(f"layers is '{layers}', expected whole numbers or 'all'")
        return None
    given = [layers] if isinstance(layers, int) else list(layers)
    for layer in given:
        if not isinstance(layer, int) or isinstance(layer, bool):
            raise ValueError(f"layers has {layer!r}, expected whole numbers or 'all'")
    return tuple(given)
