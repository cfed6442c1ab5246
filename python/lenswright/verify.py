"""Compare a checkpoint's numbers with those of `transformers`: the logits and every point."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

import lenswright
from lenswright.reference import Reference
from lenswright.reference_points import is_expanded, site

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
            "tolerance": self.tolerance, "tokens": self.tokens, "seconds": round(self.seconds, 3),
            "errors": errors, "only_here": self.only_here, "only_there": self.only_there,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.family}, {self.dtype}, {self.tokens} tokens"]
        for name, (error, worst) in self.by_site().items():
            mark = "" if error <= self.tolerance else f"  <- beyond {self.tolerance:.0e}"
            where = f"  ({worst})" if mark and worst != name else ""
            lines.append(f"  {name:<24} {error:.1e}{mark}{where}")
        for names, side in ((self.only_here, "transformers"), (self.only_there, "lenswright")):
            lines += [f"  {name}: no such point in {side}" for name in names]
        verdict = "agrees with" if self.ok else "DIFFERS from"
        count = f"{len(self.errors)} points"
        lines.append(f"{verdict} transformers at {count}, tolerance {self.tolerance:.0e}")
        return "\n".join(lines)


def verify(
    path: str | Path,
    *,
    dtype: str = "float64",
    device: str = "cpu",
    prompts: Sequence[str] = (),
    rows: int = 2,
    length: int = 24,
    seed: int = 0,
    points: Iterable[str] = ("*",),
    expanded: bool = False,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Run a checkpoint here and in `transformers` (lifted to float64) and compare every point.

    path: checkpoint folder or hub id. dtype: type of the computation here; the reference always
    has float64. prompts: texts to run, beside `rows` rows of `length` random token ids drawn with
    `seed`. points: globs of point names; expanded: also the points that exist only when named.
    tolerance: largest relative error that passes, default `TOLERANCES[dtype]`. progress: called
    with the name of each stage. Raises ValueError for a dtype, count or glob that means nothing.
    """
    started = time.perf_counter()
    if dtype not in TOLERANCES:
        raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(TOLERANCES)}")
    if rows < 0 or length < 1 or (rows == 0 and not prompts):
        raise ValueError(f"rows is {rows} and length {length}: nothing to run")
    progress("loading here")
    model = lenswright.load(path, dtype=dtype, device=device)
    batches = _tokens(model, prompts, rows, min(length, model.cfg.n_ctx), seed)
    progress("loading in transformers")
    reference = Reference(path)
    found = Verification(
        path=str(path), family=reference.config.model_type, dtype=dtype,
        tolerance=TOLERANCES[dtype] if tolerance is None else tolerance,
        tokens=sum(batch.numel() for batch in batches),
    )  # fmt: skip
    theirs = reference.names()
    ours = list(model.points(expanded=True))
    wanted = _chosen(ours, theirs, list(points), expanded, found)
    for done, batch in enumerate(batches):
        progress(f"comparing {done + 1}/{len(batches)}")
        _compare(model, reference, batch, wanted, found)
    found.seconds = time.perf_counter() - started
    return found


def _tokens(
    model: Any, prompts: Sequence[str], rows: int, length: int, seed: int
) -> list[torch.Tensor]:
    batches = [model.to_tokens(prompt).cpu() for prompt in prompts]
    if rows:
        generator = torch.Generator().manual_seed(seed)
        shape = (rows, length)
        batches.append(torch.randint(0, model.cfg.d_vocab, shape, generator=generator))
    return batches


def _chosen(
    ours: list[str], theirs: list[str], globs: list[str], expanded: bool, found: Verification
) -> list[str]:
    def meant(name: str) -> bool:
        named = name in globs
        return named or (
            (expanded or not is_expanded(name)) and any(fnmatchcase(name, glob) for glob in globs)
        )

    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in (*ours, *theirs)):
            raise ValueError(f"points: '{glob}' matches no point of this model")
    found.only_here = [name for name in ours if meant(name) and name not in theirs]
    found.only_there = [name for name in theirs if meant(name) and name not in ours]
    return [name for name in ours if meant(name) and name in theirs]


def _compare(
    model: Any, reference: Reference, batch: torch.Tensor, names: list[str], found: Verification
) -> None:
    logits, cache = model.run_with_cache(batch, names_filter=names)
    theirs = reference.points(batch, [*names, "unembed.hook_out"])
    pairs = {name: (cache[name], theirs[name]) for name in names}
    pairs["logits"] = (logits, theirs["unembed.hook_out"])
    for name, (a, b) in pairs.items():
        found.errors[name] = max(found.errors.get(name, 0.0), relative_error(a, b))
