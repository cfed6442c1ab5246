"""Edits that hold what the residual has along directions: affine, and LEACE as weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lenswright.methods.method import Ground, drawn

if TYPE_CHECKING:
    from torch import Tensor

    from lenswright.collecting.statistics import Statistics
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.story import Plan

COVARIANCE = "shrinkage"
"""Of LEACE: prompts are few beside the width of a model."""


def affine(ground: Ground) -> Edit:
    """What negative prompts have on average along the direction, held there for all."""
    from lenswright import edits

    target = _target(ground, lambda stats, point, row: stats.mean("negative", point)[row])
    return _part(edits.affine(ground.model, ground.choice, target), ground.plan)


def like_affine(model: Model, plan: Plan) -> Edit:
    """Of any direction and target."""
    from lenswright import edits

    return _part(edits.affine(model, drawn(model), _any_target(model)), plan)


def leace(ground: Ground) -> Edit:
    """LEACE of the two classes where the direction was chosen, about the mean of both."""
    from lenswright import directions, edits

    choice = ground.choice
    stats = ground.collected(choice.point, "mean", "variance", "covariance")
    found = directions.leace(stats, COVARIANCE)
    erase = found.erasure(choice.point, choice.offset)
    write, target = ground.sourced(erase.write, found), _target(ground, _pooled)
    return _part(edits.leace(ground.model, write, erase.read, target), ground.plan)


def like_leace(model: Model, plan: Plan) -> Edit:
    """Of any direction, mean and reading vector."""
    from lenswright import edits

    anything = drawn(model)
    return _part(edits.leace(model, anything, anything, _any_target(model)), plan)


def remark(model: Model) -> str:
    """That a target cannot differ between layers, where it cannot, and why."""
    why = _one_target(model)
    return f"the target is one vector, held at every layer: {why}" if why else ""


def _one_target(model: Model) -> str:
    from lenswright.edits import add

    try:
        add(model, drawn(model), range(1, model.cfg.n_layers + 1))
    except ValueError as error:  # what to do instead, behind the semicolon, is not for here
        return str(error).partition(";")[0]
    return ""


def _target(ground: Ground, mean: Callable[[Statistics, str, int], Tensor]) -> Tensor:
    """A mean at the chosen position: before each layer and behind the last, or, where the
    architecture has nothing to add a constant with, at the chosen point."""
    import torch

    stats, row = ground.stats, ground.row
    if _one_target(ground.model):
        return mean(stats, ground.choice.point, row)
    last = f"blocks.{ground.model.cfg.n_layers - 1}.hook_resid_post"
    end = mean(ground.collected(last, "mean"), last, 0)
    return torch.stack([*(mean(stats, point, row) for point in stats.points), end])


def _any_target(model: Model) -> Tensor:
    return drawn(model, 1 if _one_target(model) else model.cfg.n_layers + 1, 1)


def _pooled(stats: Statistics, point: str, row: int) -> Tensor:
    """Mean of all samples of both classes."""
    plus, minus = stats.n("positive")[row], stats.n("negative")[row]
    positive, negative = (stats.mean(name, point)[row] for name in ("positive", "negative"))
    return (plus * positive + minus * negative) / (plus + minus)


def _part(edit: Edit, plan: Plan) -> Edit:
    """h' = h - strength P (h - target): every writer's change so many times."""
    from lenswright.editing.strengths import in_range

    strength = in_range(plan.strength)
    return edit if strength == 1.0 else strength * edit
