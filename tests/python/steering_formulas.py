"""The formulas of steering, written plainly in float64: one token at a time, no shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

import lenswright as lw

Weight = Callable[[int, int], float]  # (row, position) -> how much of the change is made


def unit(v: torch.Tensor) -> torch.Tensor:
    return v.double() / v.double().norm()


def changed(h: torch.Tensor, operation: str, v: torch.Tensor, s: float, **how: Any) -> torch.Tensor:
    """h' of one token h [d_model] in float64.

    how: unit ("absolute", "relative", "token", "own"), mean (norm of the layer), other (direction),
    weight, preserve_norm, when (direction, threshold, unit, below).
    """
    h = h.double()
    weight = how.get("weight", 1.0)
    if "when" in how:
        direction, threshold, kind, below = how["when"]
        seen = torch.dot(h, unit(direction))
        limit = threshold * (h.norm() if kind == "token" else 1.0)
        if not (seen < limit if below else seen > limit):
            return h
    if weight == 0:
        return h
    u, c = unit(v), torch.dot(h, unit(v))
    length = {
        "absolute": 1.0, "relative": how.get("mean", 1.0), "token": h.norm(),
        "own": v.double().norm(),
    }[how.get("unit", "absolute")]  # fmt: skip
    value = s * length
    if operation == "add":
        after = h + weight * value * u
    elif operation == "project":
        after = h - weight * s * c * u
    elif operation == "clamp":
        after = h + weight * (value - c) * u
    elif operation == "scale":
        after = h + weight * (s - 1) * c * u
    elif operation == "cap":
        after = h + weight * (value - c) * u if c > value else h
    elif operation == "floor":
        after = h + weight * (value - c) * u if c < value else h
    else:  # swap: solve for the components within the plane of both
        w = unit(how["other"])
        plane = torch.stack([u, w], 1)
        gram = plane.T @ plane
        wanted = torch.stack([torch.dot(h, w), c])
        inside = plane @ torch.linalg.solve(gram, torch.stack([c, torch.dot(h, w)]))
        after = h + weight * (plane @ torch.linalg.solve(gram, wanted) - inside)
    if how.get("preserve_norm"):
        after = after * (h.norm() / after.norm())
    return after


def apply(
    h: torch.Tensor, operation: str, v: torch.Tensor, s: float, weight: Weight, **how: Any
) -> torch.Tensor:
    """The same for every token of [batch, pos, d_model]."""
    rows = [
        torch.stack([
            changed(h[row, place], operation, v, s, **how, weight=weight(row, place))
            for place in range(h.shape[1])
        ])
        for row in range(h.shape[0])
    ]  # fmt: skip
    return torch.stack(rows).to(h.dtype)


def meant(rules: Sequence[Any], place: int, prompt: int, suffix: int = 0, prefix: int = 0) -> bool:
    """Whether a place of a row is meant by rules of positions."""
    inside = list(range(prompt))
    named = {
        "all": True, "prefill": place < prompt, "decode": place >= prompt,
        "last": place == prompt - 1, "first": place == 0,
        "post_instruction": prompt - suffix <= place < prompt, "pre_instruction": place < prefix,
        "instruction": prefix <= place < prompt - suffix,
        "template": place < prefix or prompt - suffix <= place < prompt,
    }  # fmt: skip
    found = False
    for rule in rules:
        if isinstance(rule, str):
            found |= named[rule]
        elif isinstance(rule, slice):
            found |= place in inside[rule]
        else:
            found |= place == inside[rule]
    return found


def along(model: lw.Model, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(300 + seed)
    return torch.randn(model.cfg.d_model, generator=generator, dtype=torch.float64)
