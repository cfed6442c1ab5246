"""Compare a checkpoint's numbers with those of `transformers`: the logits and every point."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

import lenswright
from lenswright.reference.points import is_expanded
from lenswright.reference.rotary import unlifted
from lenswright.reference.streamed import Streamed
from lenswright.verifying.verification import TOLERANCES, Verification
from lenswright.verifying.verification import relative_error as relative_error

CHOICE = "mlp.hook_expert_indices"
CHOSEN = (CHOICE, "mlp.hook_expert_weights", "mlp.hook_expert_out")


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

    Both run block by block, and the points of one block at a time are kept: memory holds the
    weights as stored, twice, and one block in float64.

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
    reference = Streamed(path)
    found = Verification(
        path=str(path), family=reference.config.model_type, dtype=dtype,
        tolerance=TOLERANCES[dtype] if tolerance is None else tolerance,
        tokens=sum(batch.numel() for batch in batches),
    )  # fmt: skip
    theirs = reference.names()
    ours = list(model.points(expanded=True))
    wanted = _chosen(ours, theirs, list(points), expanded, found)
    for done, batch in enumerate(batches):
        _Comparison(model, batch, wanted, found).run(reference, progress, done, len(batches))
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


class _Comparison:
    """One batch, block by block: this model goes on from its own residual, not from theirs."""

    def __init__(
        self, model: Any, batch: torch.Tensor, wanted: list[str], found: Verification
    ) -> None:
        self.model, self.batch, self.wanted, self.found = model, batch, wanted, found
        self.residual: torch.Tensor | None = None

    def run(
        self, reference: Streamed, progress: Callable[[str], None], done: int, batches: int
    ) -> None:
        n_layers = self.model.cfg.n_layers

        def visit(layer: int | None, points: dict[str, Callable[[], torch.Tensor]]) -> None:
            if layer is not None:
                progress(f"comparing batch {done + 1} of {batches}, block {layer} of {n_layers}")
            stage = layer if layer is not None else -1 if self.residual is None else n_layers
            names = [name for name in self.wanted if name in points]
            with unlifted():
                ours = self._stage(stage, names)
            theirs = {n: points[n]() for n in (*names, *(["logits"] if stage == n_layers else []))}
            with unlifted():
                self._compare(ours, theirs)

        reference.visit(self.batch, visit)

    def _stage(self, stage: int, names: list[str]) -> dict[str, torch.Tensor]:
        """The points of a block (-1: before the first; n_layers: behind the last)."""
        n_layers, core = self.model.cfg.n_layers, self.model.core
        taps = core.taps()
        for name in names:
            taps.capture(name)
        start = max(stage, 0)
        stop = None if stage == n_layers else stage + 1
        logits, self.residual = core.run(
            taps, self.batch.to(core.device), [], "right", "all", start, stop, self.residual
        )
        return taps.captured | ({} if logits is None else {"logits": logits})

    def _compare(self, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
        ours, theirs = _by_expert(ours), _by_expert(theirs)
        errors = self.found.errors
        for name, value in theirs.items():
            errors[name] = max(errors.get(name, 0.0), relative_error(ours[name], value))


def _by_expert(points: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Chosen experts in the order of their numbers, their weights and outputs too."""
    points = dict(points)
    for name in [n for n in points if n.endswith(CHOICE)]:
        order = points[name].argsort(-1)
        for part in CHOSEN:
            whole = name.removesuffix(CHOICE) + part
            if whole in points:
                value = points[whole]
                index = order if value.ndim == 3 else order.unsqueeze(-1).expand_as(value)
                points[whole] = value.gather(2, index)
    return points
