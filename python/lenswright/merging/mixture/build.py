"""Building a mixture of experts from dense models."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright.jsonable import finite_or_none
from lenswright.merging import recipes
from lenswright.merging.assembling import RECORD, checked_target
from lenswright.merging.mixture.plan import MixturePlan
from lenswright.merging.mixture.recipe import read

_STEEP = 5.0  # a condition number above it: gates that are nearly alike


@dataclass
class Mixture:
    """A mixture that was built, or would be (`dry`).

    conditions: of each layer's gates, the largest singular value over the smallest; empty where
    `dry`.
    """

    folder: Path
    layout: str
    experts: list[str]
    shared: list[str]
    chosen: int
    gates: str
    conditions: list[float]
    dry: bool
    tensors: int
    write_bytes: int
    memory_bytes: int
    notes: list[str]

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.layout} of {len(self.experts)} experts, {self.chosen} a token"
            + (f", and {len(self.shared)} shared" if self.shared else "")
            + f"; gates: {self.gates}",
            *(f"  {i}: {name}" for i, name in enumerate(self.experts)),
            *(f"  shared: {name}" for name in self.shared),
            f"tensors  {self.tensors:,}, {self.write_bytes:,} bytes; "
            f"{self.memory_bytes / 1e6:,.0f} MB of private memory at most",
        ]
        lines += [f"note     {note}" for note in self.notes]
        lines.append(f"{'would write' if self.dry else 'wrote'} {self.folder}")
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        conditions = [finite_or_none(value) for value in self.conditions]
        return vars(self) | {"folder": str(self.folder), "conditions": conditions}


def mixture_of_experts(
    recipe: recipes.Source,
    output: str | os.PathLike[str],
    *,
    seed: int = 0,
    threads: int = 0,
    shard_size: int | str = "5GB",
    dry_run: bool = False,
    progress: bool = True,
) -> Mixture:
    """Build a mixture of experts from dense models, by a recipe of mergekit-moe's grammar.

    Attention, norms and embeddings are the base's, the experts' MLPs those of their models, the
    routers made of prompts (see `gates`) or by chance. Everything is checked before the first byte
    is written; tensors that need no other type are copied; memory does not grow with the models.

    Args:
        recipe: a YAML file, YAML text of several lines, or a mapping.
        output: a folder that does not exist; it appears whole or not at all.
        seed: of gates by chance, and of noise.
        threads: 0 for one per processor.
        shard_size: bytes of a file at most, or text such as "5GB".
        dry_run: check and plan only; no gates are made.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: the recipe; models that do not fit it, its layout or one another; prompts that
            cancel.
        FileNotFoundError: a recipe or a model that is not there.
        FileExistsError: the output exists.
        CheckpointError: a model that is not what it claims to be.
    """
    target = checked_target(output)
    plan = MixturePlan(read(recipe))
    assembly = plan.assembly(seed, shard_size)
    if dry_run:
        planned = assembly.plan(plan.blank_gates())
        return _result(plan, planned, target, [], dry=True)
    assembly.plan(plan.blank_gates())  # all that can be wrong is found before a model is run
    made, conditions = plan.gates(seed, progress)
    planned = assembly.plan(made)
    done = _result(plan, planned, target, conditions, dry=False)
    step = {"moe": plan.recipe.data} | done.to_json()
    for key in ("folder", "dry"):
        step.pop(key)
    record = json.dumps({"format": "lenswright record 1", "steps": [step]}, indent=2) + "\n"
    assembly.run(planned, target, [(RECORD, record)], "building", threads, progress)
    return done


def _result(
    plan: MixturePlan, planned: Any, target: Path, conditions: list[float], dry: bool
) -> Mixture:
    """What is told of it."""
    steep = [layer for layer, value in enumerate(conditions) if value > _STEEP]
    notes = []
    if steep:
        notes.append(
            f"gates are nearly alike in {len(steep)} of {plan.layers} layers (condition above "
            f"{_STEEP:g}, up to {max(conditions):.3g}): prompts that tell experts apart better "
            "route better"
        )
    out = plan.recipe
    jobs = planned.jobs
    return Mixture(
        target, plan.layout.name, [e.model for e in out.experts],
        [e.model for e in out.shared], out.chosen, out.gates, conditions, dry, len(jobs),
        planned.write_bytes, planned.memory(0), notes,
    )  # fmt: skip
