"""The formulas of steering, written plainly in float64: one token at a time, no shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

import lenswright as lw

POINT = "blocks.1.hook_resid_pre"
# operation, strength, its unit and what else
CASES: list[tuple[str, float, dict[str, Any]]] = [
    ("add", 3.0, {}),
    ("add", -0.7, {"unit": "own"}),
    ("add", 0.5, {"unit": "token"}),
    ("add", 0.4, {"unit": "relative"}),
    ("add", 3.0, {"preserve_norm": True}),
    ("add", 0.8, {"preserve_norm": True, "unit": "token"}),
    ("project", 1.0, {}),
    ("project", 2.0, {}),
    ("project", -0.3, {}),
    ("clamp", 1.5, {}),
    ("clamp", -0.2, {"unit": "token"}),
    ("scale", 0.25, {}),
    ("scale", -1.0, {}),
    ("swap", 1.0, {}),
    ("cap", 0.3, {}),
    ("cap", 0.02, {"unit": "relative"}),
    ("floor", 0.3, {}),
    ("floor", -0.1, {"unit": "token"}),
]
NEW = 9
PROMPTS = [[5, 9, 11, 3, 40, 22, 17], [8, 30, 61], [4, 90, 12, 33, 2, 7, 71, 19, 26, 55, 31]]

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


def made(model: lw.Model, operation: str, s: float, how: dict[str, Any], **more: Any) -> Any:
    """The steering of a case."""
    given = dict(how) | more
    if operation == "swap":
        return lw.steering.swap(along(model), along(model, 1), **given)
    if how.get("unit") == "relative":
        given["norms"] = {1: 7.5}
    return getattr(lw.steering, operation)(along(model), s, **given)


def reference(model: lw.Model, how: dict[str, Any]) -> dict[str, Any]:
    """What the plain formula of a case is told."""
    return how | {"mean": 7.5, "other": along(model, 1)}


def strong(model: lw.Model, **where: Any) -> Any:
    """One that no answer overlooks."""
    return lw.steering.add(along(model), 6.0, layers=1, **where)


def whole_runs(model: lw.Model, rows: list[list[int]], weight: Any) -> list[torch.Tensor]:
    """Logits of each row by itself, steered by a plain function: the reference."""
    found = []
    for index, row in enumerate(rows):

        def hook(h: torch.Tensor, hook: Any, index: int = index) -> torch.Tensor:
            return apply(h, "add", along(model), 6.0, lambda _, place: weight(index, place))

        found.append(model.run_with_hooks([row], fwd_hooks=[(POINT, hook)])[0])
    return found
