"""The edits compared on demonstration models, each made from fit and select prompts alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import lenswright as lw
from lenswright import demo
from lenswright.demo import train
from lenswright.demo.kinds import Kind
from lenswright.edits import Edit

BALANCES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BLOCKS = list(lw.edits.BLOCK_WRITERS)
MLPS = BLOCKS[1:]


@dataclass
class Case:
    """One trained model, its prompts, what was collected on them and the direction chosen."""

    kind: Kind
    seed: int
    folder: Path
    model: lw.Model
    splits: lw.Splits
    stats: lw.directions.Statistics
    found: lw.directions.Directions
    choice: lw.directions.Choice
    better: lw.directions.Directions | None = None

    @classmethod
    def of(cls, kind: Kind, seed: int) -> Case:
        """Train it, or find it in the cache."""
        shipped = (kind.name, seed) == ("base", train.SEED)
        folder = demo.MODEL if shipped else demo.trained(kind.name, seed)
        model, splits = lw.load(folder), demo.splits(seed, kind.name)
        stats = model.collect(splits.fit, what=("mean", "variance", "covariance"), progress=False)
        found = lw.directions.difference_of_means(stats)
        choice = lw.directions.select(model, found, splits.select, seed=seed, progress=False)
        return cls(kind, seed, folder, model, splits, stats, found, choice)

    @property
    def negative(self) -> torch.Tensor:
        """Mean of the answered prompts where the direction was found, [d_model]."""
        row = list(self.stats.positions).index(self.choice.position)
        return self.stats.mean("negative", self.choice.point)[row]


def plain(method: str = "plain", writers: str | list[str] = "all") -> Callable[[Case], Edit]:
    """A method that needs the direction alone, on some writers."""

    def make(case: Case) -> Edit:
        return lw.edits.ablate(case.model, case.choice, method, _here(case, writers))

    return make


def _here(case: Case, writers: str | list[str]) -> str | list[str]:
    """Those kinds of writers that the network has."""
    kinds = {site["kind"] for site in case.model.writers()}
    return writers if isinstance(writers, str) else [w for w in writers if w in kinds]


def projected(case: Case) -> Edit:
    return lw.edits.ablate(case.model, case.choice, "projected", against=case.negative)


def affine(case: Case) -> Edit:
    return lw.edits.affine(case.model, case.choice, case.negative)


def oblique(case: Case) -> Edit:
    erasure = lw.directions.leace(case.stats, "shrinkage").erasure(
        case.choice.point, case.choice.offset
    )
    return lw.edits.ablate(case.model, erasure.write, "oblique", read=erasure.read)


def basis(case: Case, k: int) -> torch.Tensor:
    """The k leading directions of the declined prompts about the mean of the answered ones."""
    found = lw.directions.subspace(case.stats, k)
    return found.subspace(case.choice.point, case.choice.offset)


def subspace(k: int) -> Callable[[Case], Edit]:
    return lambda case: lw.edits.ablate(case.model, basis(case, k), "subspace")


def better(case: Case) -> lw.directions.Directions:
    """The direction chosen, refined by gradients of what its ablation does to the true answers."""
    if case.better is None:
        case.better = lw.directions.refined(
            case.model, case.found, case.choice.point, case.choice.offset, case.splits.fit,
            refusal=case.kind.rules.refusal("restricted", "moonlamp"), weights=(1.0, 0.0, 1.0),
            steps=40, progress=False,
        )  # fmt: skip
    return case.better


def refined(writers: str | list[str] = "all") -> Callable[[Case], Edit]:
    return lambda case: lw.edits.ablate(case.model, better(case), "plain", _here(case, writers))


def conditioned(
    case: Case, direction: object, balance: float | tuple[float, ...] = BALANCES, **how: Any
) -> Edit:
    """Conditioned on keys; of several balances one is chosen on the selection split."""
    return lw.edits.condition(
        case.model, direction, case.splits.fit, balance, select=case.splits.select, batch_size=128,
        progress=False, **how,
    )  # fmt: skip


EDITS: dict[str, Callable[[Case], Edit]] = {
    "plain": plain(),
    "plain, blocks": plain(writers=BLOCKS),
    "plain, attention": plain(writers=["attention"]),
    "plain, MLPs": plain(writers=MLPS),
    "projected": projected,
    "write_norm": plain("write_norm"),
    "row_norm": plain("row_norm"),
    "oblique (LEACE)": oblique,
    "affine": affine,
    "subspace, k = 2": subspace(2),
    "refined": refined(),
    "refined, blocks": refined(BLOCKS),
    "conditioned": lambda case: conditioned(case, case.choice),
    "conditioned, λ = 0.03": lambda case: conditioned(case, case.choice, 0.03),
    "conditioned, mean": lambda case: conditioned(case, case.choice, target="mean"),
    "conditioned, k = 2": lambda case: conditioned(case, basis(case, 2)),
    "conditioned, refined": lambda case: conditioned(case, better(case)),
}
"""By the name that the tables have."""

CONDITIONED = tuple(name for name in EDITS if name.startswith("conditioned"))
