"""Edits that take directions out of what is written: one, or several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lenswright.methods.method import Ground, Method, drawn

if TYPE_CHECKING:
    from torch import Tensor

    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.story import Plan

RANK = 2
"""Directions of a subspace, where the plan names no rank."""

RIDGE = 0.1
"""Where the plan names none; directions have length 1."""


def along(name: str, model: Model, plan: Plan, direction: Any, **more: Any) -> Edit:
    """`edits.ablate` as a plan has it."""
    from lenswright.edits import ablate

    return ablate(model, direction, name, plan.writers, plan.strength, **more)


def of_one(name: str, brief: str = "") -> Method:
    """A method that needs a direction alone."""
    return Method(
        brief,
        make=lambda ground: along(name, ground.model, ground.plan, ground.choice),
        like=lambda model, plan: along(name, model, plan, drawn(model)),
        of_vector=partial(along, name),
    )


def projected(ground: Ground) -> Edit:
    """Along what of the direction is orthogonal to the negatives' mean where it was chosen."""
    kept = ground.stats.mean("negative", ground.choice.point)[ground.row]
    return along("projected", ground.model, ground.plan, ground.choice, against=kept)


def like_projected(model: Model, plan: Plan) -> Edit:
    """Against nothing, which changes the direction alone."""
    return along("plain", model, plan, drawn(model))


def rank_of(plan: Plan) -> int:
    """How many directions are taken out."""
    return RANK if plan.rank is None else plan.rank


def ridge_of(plan: Plan) -> float:
    """How much of them is left: of directions at right angles ridge / (1 + ridge)."""
    return RIDGE if plan.ridge is None else plan.ridge


def of_several(name: str, brief: str) -> Method:
    """A method that finds several directions where the one was chosen."""
    ridged = name == "ridge"

    def span(model: Model, plan: Plan, directions: Any) -> Edit:
        return along(name, model, plan, directions, **({"ridge": ridge_of(plan)} if ridged else {}))

    def make(ground: Ground) -> Edit:
        return span(ground.model, ground.plan, _leading(ground))

    def like(model: Model, plan: Plan) -> Edit:
        return span(model, plan, _any(model, rank_of(plan)))

    takes = {"writers", "strength", "rank"} | ({"ridge"} if ridged else set())
    return Method(brief, make, like, takes=frozenset(takes))


def _leading(ground: Ground) -> Any:
    """The leading right singular vectors of positive samples minus the negatives' mean.

    Only the place of the choice is used, and nothing is chosen anew. Source: `directions.subspace`.
    """
    from lenswright.directions import subspace

    choice, rank = ground.choice, rank_of(ground.plan)
    found = subspace(ground.collected(choice.point, "mean", "variance", "covariance"), rank)
    values = found.found[choice.point].more["values"][0]
    if not values[-1] > 1e-10 * values[0]:
        raise ValueError(
            f"rank is {rank}, but positive prompts span fewer dimensions at {choice.point}; "
            "expected a smaller one"
        )
    return ground.sourced(found.subspace(choice.point, choice.offset), found)


def _any(model: Model, rank: int) -> Tensor:
    width = model.cfg.d_model
    if not 1 <= rank <= width:
        raise ValueError(f"rank is {rank}, expected 1 to {width}, the width of the model")
    return drawn(model, rank)
