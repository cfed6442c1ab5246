"""LoRA adapters from fine-tuned models: what a tuned model has that its base lacks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.editing.adapter_file import (
    PREFIX,
    adapter_config,
    adapter_tensors,
    save_adapter,
)
from lenswright.merging.assembling import checked_target
from lenswright.merging.changed_modules import TOKEN_EMBEDDINGS, ChangedModules
from lenswright.progress import Progress

METHODS = ("exact", "randomised")
OTHERS = ("save", "refuse", "leave")


@dataclass
class Extraction:
    """An adapter that was extracted.

    ranks: by module. errors: by module, |what the adapter lacks of the change| / |the change|,
    Frobenius, of the factors as stored. error: the same of all these modules together. saved:
    modules that the adapter holds whole; left: changed tensors that it leaves as in the base.
    """

    folder: Path
    method: str
    rank: int
    ranks: dict[str, int]
    errors: dict[str, float]
    error: float
    saved: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unchanged: int = 0

    def text(self) -> str:
        """For people."""
        worst = sorted(self.errors, key=lambda name: -self.errors[name])[:3]
        lines = [
            f"{len(self.ranks)} modules of rank {self.rank} at most ({self.method}); "
            f"{self.error:.3g} of the change is missing (Frobenius)",
            *(f"  {name}: rank {self.ranks[name]}, missing {self.errors[name]:.3g}"
              for name in worst),
        ]  # fmt: skip
        if self.saved:
            lines.append(f"saved whole  {', '.join(self.saved)}")
        if self.left:
            lines.append(f"left as in the base  {', '.join(self.left)}")
        lines.append(f"unchanged    {self.unchanged} tensors")
        lines.append(f"wrote {self.folder}")
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return vars(self) | {"folder": str(self.folder)}


def extract_adapter(
    base: str | os.PathLike[str],
    tuned: str | os.PathLike[str],
    output: str | os.PathLike[str],
    rank: int = 16,
    *,
    method: str = "randomised",
    others: str = "save",
    seed: int = 0,
    progress: bool = True,
) -> Extraction:
    """Write the difference of two models as a PEFT LoRA adapter of the first.

    W_tuned - W_base of every linear module becomes two thin factors; one tensor is worked at a
    time, in float64. `peft` loads the folder, and so does a recipe's BASE+ADAPTER.

    Args:
        base, tuned: folders or hub ids of one architecture and vocabulary.
        output: a folder that does not exist; it appears whole or not at all.
        rank: of each module at most; fewer where the change has fewer.
        method: "exact", the truncated singular value decomposition; "randomised", Halko, Martinsson
            and Tropp's, much quicker for large matrices. Either states what it lacks.
        others: changed norms and embeddings, which are no products of thin factors: "save" their
            modules whole, "refuse" them, or "leave" them as in the base. Likewise changed biases,
            unless every factored module has one: then the adapter has biases.
        seed: of the random sketches.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: models that have other tensors or shapes, or do not differ; what `others` does
            not allow; experts in one tensor, which are no modules of PEFT's.
        FileNotFoundError, CheckpointError: as Checkpoint does. FileExistsError: the output exists.

    Source: Eckart and Young 1936; Halko, Martinsson and Tropp 2011, SIAM Review 53.
    """
    for value, known, name in ((method, METHODS, "method"), (others, OTHERS, "others")):
        if value not in known:
            raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, known))}")
    if rank < 1:
        raise ValueError(f"rank is {rank}, expected at least 1")
    folder = checked_target(output)
    work = ChangedModules(Checkpoint(base), Checkpoint(tuned), rank, method, others, seed)
    work.check()
    with Progress("extracting", len(work.base), "tensors", progress) as bar:
        work.run(bar)
    changes, saved = work.changes, work.saved
    whole = {
        f"{PREFIX}{module}.{kind}": work.tuned[f"{module}.{kind}"].contiguous()
        for module, kind in saved
    }
    tables = [name for name, _ in saved if name.endswith(TOKEN_EMBEDDINGS)] if work.tied else []
    for table in tables:  # PEFT's copy of the one is not that of the other
        whole[f"{PREFIX}lm_head.weight"] = work.tuned[f"{table}.weight"].contiguous()
    modules = {name for name, _ in saved} | ({"lm_head"} if tables else set())
    config = adapter_config(changes, str(base), sorted(modules))
    save_adapter(folder, adapter_tensors(changes) | whole, config)
    return Extraction(
        folder, method, rank, {c.module: c.rank for c in changes}, work.errors, work.error(),
        sorted({name for name, _ in saved}), work.left, work.unchanged,
    )  # fmt: skip
