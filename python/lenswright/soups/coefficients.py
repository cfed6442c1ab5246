"""Coefficients of a soup: one for each model, or for each of its layers, parts or tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lenswright.nearest import did_you_mean

PER = ("model", "layer", "group", "tensor")

_PLACE = re.compile(
    r"^(?P<stack>(?:.*\.)?(?:layers|h|blocks|block|layer)\.)(?P<layer>\d+)\.(?P<rest>.+)$"
)
_SPECIAL = re.compile(r"([*?\[\]{}\\])")


@dataclass(frozen=True)
class Group:
    """Tensors that share a coefficient, and the filter of a recipe that means them."""

    name: str
    filter: str | None  # None: all that no other filter means
    tensors: tuple[str, ...]


def groups(tensors: Sequence[str], per: str) -> list[Group]:
    """Tensors by what they share: the one without a filter is the last.

    Args:
        per: "model": all share one coefficient; "layer": those of a layer, and all outside of
            layers; "group": those of a part of all blocks (self_attn, mlp, each norm), and all
            outside; "tensor": none.

    Raises:
        ValueError: another `per`.
    """
    if per not in PER:
        hint = did_you_mean(per, PER)
        raise ValueError(f"per is {per!r}, expected one of {', '.join(PER)}{hint}")
    found: dict[tuple[str, str | None], list[str]] = {}
    for tensor in tensors:
        found.setdefault(_key(tensor, per), []).append(tensor)
    made = [Group(name, pattern, tuple(members)) for (name, pattern), members in found.items()]
    return sorted(made, key=lambda group: group.filter is None)


def _key(tensor: str, per: str) -> tuple[str, str | None]:
    if per == "model":
        return "all", None
    if per == "tensor":
        return tensor, f"glob:{_literal(tensor)}"
    place = _PLACE.match(tensor)
    if place is None:
        return "outside", None
    stack = _literal(place["stack"])
    if per == "layer":
        return f"layer {place['layer']}", f"glob:{stack}{place['layer']}.*"
    part = place["rest"].split(".")[0]
    return part, f"glob:{stack}*.{_literal(part)}.*"


def _literal(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def setting(values: Sequence[float], all_groups: Sequence[Group]) -> Any:
    """What stands in a recipe for one model's coefficients: a number, or a list of filters."""
    if len(all_groups) == 1 and all_groups[0].filter is None:
        return values[0]
    return [
        ({} if group.filter is None else {"filter": group.filter}) | {"value": value}
        for group, value in zip(all_groups, values, strict=True)
    ]


def recipe_of(
    names: Sequence[str], values: torch.Tensor, all_groups: Sequence[Group], base: str | None
) -> dict[str, Any]:
    """The recipe of coefficients [models, groups]: of the models, or of what they add to a base."""
    models = [
        {"model": name, "parameters": {"weight": setting(row, all_groups)}}
        for name, row in zip(names, values.tolist(), strict=True)
    ]
    if base is None:
        return {"merge_method": "linear", "models": models}
    return {"merge_method": "task_arithmetic", "base_model": base, "models": models}


def table(
    names: Sequence[str], values: torch.Tensor, all_groups: Sequence[Group]
) -> Mapping[str, dict[str, float]]:
    """{group: {model: coefficient}}."""
    return {
        group.name: {name: float(values[i, g]) for i, name in enumerate(names)}
        for g, group in enumerate(all_groups)
    }
