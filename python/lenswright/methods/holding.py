"""Edits that hold what the residual has along directions: affine, LEACE, and what is like them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lenswright.methods.along import along
from lenswright.methods.method import Ground, drawn

if TYPE_CHECKING:
    from torch import Tensor

    from lenswright.collecting.statistics import Statistics
    from lenswright.editing.aiming import Sourced
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.story import Plan

    Mean = Callable[[Statistics, str, int], Tensor]  # of a point, at the row of a position

COVARIANCE = "shrinkage"
"""Of LEACE: prompts are few beside the width of a model."""


def affine(ground: Ground) -> Edit:
    """What negative prompts have on average along the direction, held there for all."""
    from lenswright import edits

    one = bool(_one_target(ground.model))
    target = (
        _negative(ground.stats, ground.choice.point, ground.row)
        if one
        else (_each(ground, _negative))
    )
    return _part(edits.affine(ground.model, ground.choice, target), ground.plan)


def like_affine(model: Model, plan: Plan) -> Edit:
    """Of any direction and target."""
    from lenswright import edits

    return _part(edits.affine(model, drawn(model), _any_target(model)), plan)


def leace(ground: Ground) -> Edit:
    """LEACE of the two classes where the direction was chosen, about the mean of both."""
    from lenswright import edits

    write, read = _erasure(ground)
    return _part(edits.leace(ground.model, write, read, _each(ground, _pooled)), ground.plan)


def like_leace(model: Model, plan: Plan) -> Edit:
    """Of any direction, reading vector and means; what takes the mean's place must be there."""
    from lenswright import edits

    anything, means = drawn(model), drawn(model, model.cfg.n_layers + 1, 1)
    return _part(edits.leace(model, anything, anything, means), plan)


def oblique(ground: Ground) -> Edit:
    """The same without its constant: what LEACE reads is taken out along what it writes."""
    write, read = _erasure(ground)
    return along("oblique", ground.model, ground.plan, write, read=read)


def like_oblique(model: Model, plan: Plan) -> Edit:
    """Of any direction and reading vector."""
    anything = drawn(model)
    return along("oblique", model, plan, anything, read=anything)


def _erasure(ground: Ground) -> tuple[Sourced, Tensor]:
    from lenswright import directions

    choice = ground.choice
    stats = ground.collected(choice.point, "mean", "variance", "covariance")
    found = directions.leace(stats, COVARIANCE)
    erase = found.erasure(choice.point, choice.offset)
    return ground.sourced(erase.write, found), erase.read


def remark(model: Model) -> str:
    """That a target cannot differ between layers, where it cannot, and why."""
    why = _one_target(model)
    if not why:
        return ""
    return (
        f"the target is one vector, held at every layer: {why}; look at the KL, as that can break "
        "a model whose layers differ"
    )


def _one_target(model: Model) -> str:
    from lenswright.edits import add

    try:
        add(model, drawn(model), range(1, model.cfg.n_layers + 1))
    except ValueError as error:  # what to do instead, behind the semicolon, is not for here
        return str(error).partition(";")[0]
    return ""


def _each(ground: Ground, mean: Mean) -> Tensor:
    """Means at the chosen position, before each layer and behind the last."""
    import torch

    last = f"blocks.{ground.model.cfg.n_layers - 1}.hook_resid_post"
    end = mean(ground.collected(last, "mean"), last, 0)
    every = [mean(ground.stats, point, ground.row) for point in ground.stats.points]
    return torch.stack([*every, end])


def _any_target(model: Model) -> Tensor:
    return drawn(model, 1 if _one_target(model) else model.cfg.n_layers + 1, 1)


def _negative(stats: Statistics, point: str, row: int) -> Tensor:
    return stats.mean("negative", point)[row]


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
