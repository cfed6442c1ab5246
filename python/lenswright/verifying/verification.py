"""The outcome of a comparison with `transformers`: the relative error at every point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from lenswright.reference.points import site

TOLERANCES = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}
"""Largest relative error, per type of the computation, that counts as agreement with float64."""


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """max|ours - theirs| / max|theirs|, with minus infinities compared as a mask.

    ours, theirs: tensors of one shape, any types; computed in float64. Infinite where the masks
    differ, where a number is not one, or where only `theirs` is all zero. Raises ValueError when
    the shapes differ.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes differ: {list(ours.shape)} here, {list(theirs.shape)} there")
    a, b = ours.detach().double().cpu(), theirs.detach().double().cpu()
    masked = torch.isneginf(b)
    if not torch.equal(torch.isneginf(a), masked):
        return float("inf")
    a, b = a[~masked], b[~masked]
    if a.numel() == 0 or torch.equal(a, b):
        return 0.0
    error = ((a - b).abs().max() / b.abs().max()).item()
    return float("inf") if math.isnan(error) else error


@dataclass
class Verification:
    """What `verify` found: the relative error at every point, and the tolerance for it."""

    path: str
    family: str
    dtype: str
    tolerance: float
    tokens: int
    errors: dict[str, float] = field(default_factory=dict)
    only_here: list[str] = field(default_factory=list)
    only_there: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every point agrees and none is missing on either side."""
        within = all(error <= self.tolerance for error in self.errors.values())
        return bool(self.errors) and within and not self.only_here and not self.only_there

    @property
    def first(self) -> str | None:
        """The first point of a run that differs, or that one side lacks."""
        beyond = [name for name, error in self.errors.items() if not error <= self.tolerance]
        return next(iter([*beyond, *self.only_here, *self.only_there]), None)

    def by_site(self) -> dict[str, tuple[float, str]]:
        """{site: (largest error, the point that has it)} in the order of a run."""
        found: dict[str, tuple[float, str]] = {}
        for name, error in self.errors.items():
            if site(name) not in found or error > found[site(name)][0]:
                found[site(name)] = (error, name)
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; infinite errors as null."""
        errors = {n: e if e != float("inf") else None for n, e in self.errors.items()}
        return {
            "path": self.path, "family": self.family, "dtype": self.dtype, "ok": self.ok,
            "first": self.first, "tolerance": self.tolerance, "tokens": self.tokens,
            "seconds": round(self.seconds, 3), "errors": errors, "only_here": self.only_here,
            "only_there": self.only_there,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.family}, {self.dtype}, {self.tokens} tokens"]
        for name, (error, worst) in self.by_site().items():
            mark = "" if error <= self.tolerance else f"  <- beyond {self.tolerance:.0e}"
            where = f"  ({worst})" if mark and worst != name else ""
            lines.append(f"  {name:<24} {error:.1e}{mark}{where}")
        for names, side in ((self.only_here, "transformers"), (self.only_there, "lenswright")):
            lines += [f"  {name}: no such point in {side}" for name in names]
        if self.first is not None:
            lines.append(f"the first that differs in a run: {self.first}")
        verdict = "agrees with" if self.ok else "DIFFERS from"
        count = f"{len(self.errors)} points"
        lines.append(f"{verdict} transformers at {count}, tolerance {self.tolerance:.0e}")
        return "\n".join(lines)
