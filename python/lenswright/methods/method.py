"""What a method of editing is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from lenswright.collecting.statistics import Statistics
    from lenswright.directions import Directions
    from lenswright.editing.aiming import Sourced
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.prompting.prompts import Splits
    from lenswright.selecting.choice import Choice
    from lenswright.story import Plan

USUAL: dict[str, tuple[Any, ...]] = {
    "writers": ("all", ["all"], ("all",)), "strength": (1.0,), "massive": ("keep",),
    "rank": (None,), "ridge": (None,),
}  # fmt: skip
"""Settings that not every method takes, with what they are where nobody named them."""

OF_ONE = frozenset({"writers", "strength", "massive"})
"""What an edit along the direction that was chosen takes."""


@dataclass(frozen=True)
class Ground:
    """What is known when an edit is made: the direction chosen, the prompts, their statistics."""

    model: Model
    splits: Splits
    plan: Plan
    choice: Choice
    stats: Statistics

    @property
    def row(self) -> int:
        """Where the chosen position stands in the statistics."""
        return list(self.stats.positions).index(self.choice.position)

    def collected(self, point: str, *what: str) -> Statistics:
        """More of the fit prompts, at one point and the chosen position alone.

        Covariances of every layer and position would not fit the memory of a large model.
        """
        plan = self.plan
        return self.model.collect(
            self.splits.fit, points=point, positions=self.choice.offset, what=what,
            batch_size=plan.batch_size, progress=plan.progress,
        )  # fmt: skip

    def sourced(self, vectors: Tensor, found: Directions) -> Sourced:
        """Vectors that another estimator gives where the choice was made."""
        from lenswright.editing.aiming import Sourced

        choice = self.choice
        made = {name: found.provenance[name] for name in ("method", "settings")}
        return Sourced(vectors, choice.point, choice.position, choice.provenance | made)


def no_remark(_: Model) -> str:
    """Nothing to say."""
    return ""


@dataclass(frozen=True)
class Method:
    """One way to edit.

    brief: a few words for the help; "" where the name says it.
    make: the edit, of all that is known.
    like: an edit of the same writers and rank, whatever its numbers, before anything was run;
        raises ValueError where the model cannot have such an edit.
    of_vector: the edit of a direction alone; None where that is not enough.
    takes: those of `USUAL` that it takes.
    remark: what a user should know of it in a model; "" for nothing.
    """

    brief: str
    make: Callable[[Ground], Edit]
    like: Callable[[Model, Plan], Edit]
    of_vector: Callable[[Model, Plan, Any], Edit] | None = None
    takes: frozenset[str] = OF_ONE
    remark: Callable[[Model], str] = no_remark


def drawn(model: Model, count: int = 1, index: int = 0) -> Tensor:
    """Any directions, where all that is asked is whether a model can be edited along such."""
    from lenswright.editing.aiming import noise

    return noise(model, count, 0, index)
