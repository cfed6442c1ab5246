"""The least change of a writer that moves what some keys write along a direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from lenswright.editing.keys import Keys
from lenswright.editing.strengths import in_range
from lenswright.findings import matrix_of

Protect = Literal["weighted", "null_space"]
Target = float | Literal["mean"]


class NothingFreeError(ValueError):
    """Negative prompts leave no direction of what a writer reads to an edit."""


@dataclass(frozen=True)
class Settings:
    """What `edits.condition` is told; see there."""

    strength: float
    balance: float
    ridge: float
    protect: Protect
    null_share: float
    target: Target

    def check(self) -> None:
        """Raises ValueError where one is out of range."""
        for name in ("balance", "ridge", "null_share"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, expected a positive number")
        in_range(self.strength)
        if self.target != "mean" and not (
            isinstance(self.target, (int, float)) and math.isfinite(self.target)
        ):
            raise ValueError(f"target is {self.target!r}, expected a finite number or 'mean'")
        if self.protect not in ("weighted", "null_space"):
            raise ValueError(f"protect is {self.protect!r}, expected 'weighted' or 'null_space'")


def seen(
    stored: Mapping[str, torch.Tensor],
    site: Mapping[str, Any],
    v: torch.Tensor,
    keys: Keys,
    settings: Settings,
) -> tuple[torch.Tensor, float]:
    """a = Wᵀv [in], and what vᵀb - τ is."""
    a = v @ matrix_of(stored[site["weight"]], site).cpu()
    offset = 0.0
    if site["bias"]:
        bias = stored[site["bias"]]
        offset = float(v @ (bias if site["slice"] < 0 else bias[site["slice"]]).double().cpu())
    if settings.target == "mean":
        return a, -float(a @ (keys.alike if keys.alike.n else keys.negative).mean)
    return a, offset - settings.target


def least_change(
    a: torch.Tensor, offset: float, keys: Keys, settings: Settings, site: Mapping[str, Any]
) -> torch.Tensor:
    """δ [in]: the minimum in closed form, of E₊(aᵀk + offset + δᵀk)² and the rest."""
    wanted, spared = keys.positive.second, keys.negative.second
    right = wanted @ a + offset * keys.positive.mean  # E₊[k (aᵀk + offset)]
    if settings.protect == "null_space":
        values, vectors = torch.linalg.eigh(spared)
        free = vectors[:, values < settings.null_share * values.mean()]
        if not free.shape[1]:
            raise NothingFreeError(
                f"negative prompts reach every direction of what '{site['name']}' reads (of "
                f"{len(a)}, none below {settings.null_share:g} of the mean); expected a larger "
                "null_share, or protect='weighted'"
            )
        small = free.t() @ wanted @ free
        return -free @ _solution(small, free.t() @ right, settings.ridge)
    return -_solution(settings.balance * spared + wanted, right, settings.ridge)


def _solution(matrix: torch.Tensor, right: torch.Tensor, ridge: float) -> torch.Tensor:
    size = len(matrix)
    matrix = matrix + ridge * matrix.trace() / size * torch.eye(size, dtype=matrix.dtype)
    return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(matrix))[:, 0]
