"""Edits conditioned on keys, which spare what negative prompts write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenswright.methods.along import like_projected
from lenswright.methods.method import USUAL, Ground

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.story import Plan

BALANCES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Among which a weighted edit's is chosen, on the selection split."""

SHARES = (0.01, 0.03, 0.1, 0.3)
"""Among which that of an edit in the null space is chosen, there too."""


def _conditioned(ground: Ground, **how: Any) -> Edit:
    """`edits.condition` as a plan has it; of the blocks' writers where no others are named."""
    from lenswright import edits
    from lenswright.selecting.scores import RefusalScore

    plan = ground.plan
    writers = edits.BLOCK_WRITERS if plan.writers in USUAL["writers"] else plan.writers
    return edits.condition(
        ground.model, ground.choice, ground.splits.fit, strength=plan.strength, writers=writers,
        positions=plan.positions, batch_size=plan.batch_size, select=ground.splits.select,
        score=plan.score or RefusalScore(plan.refusal), progress=plan.progress, **how,
    )  # fmt: skip


def balanced(ground: Ground) -> Edit:
    """With the balance that the selection split takes."""
    return _conditioned(ground, balance=BALANCES)


def null_space(ground: Ground) -> Edit:
    """With the share that the selection split takes."""
    return _conditioned(ground, protect="null_space", null_share=SHARES)


def like_sparing(model: Model, plan: Plan) -> Edit:
    """Of the blocks' writers: embeddings read tokens, not keys."""
    from lenswright.edits import BLOCK_WRITERS

    made = like_projected(model, plan)
    kinds = {line["kind"] for line in made.describe() if line["edited"]}
    return made.restrict(writers=[kind for kind in BLOCK_WRITERS if kind in kinds])
