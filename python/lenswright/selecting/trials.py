"""Many directions tried at once: rows of one batch that carry different ablations or additions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.editing.ablation import ablation_taps
from lenswright.measuring.forcing import (
    Forced,
    Pair,
    chunks,
    final_residual,
    forced_log_probs,
    log_probs,
    read_into,
)
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model
    from lenswright.prompting.prompts import Prompt
    from lenswright.selecting.scores import Score

Step = Callable[[int], None]


@dataclass(frozen=True)
class Addition:
    """A vector [d_model] added at a point, at all positions."""

    point: str
    layer: int
    vector: torch.Tensor


def ablated_scores(
    model: Model,
    prompts: Sequence[Prompt],
    score: Score,
    directions: torch.Tensor,
    batch_size: int,
    step: Step,
) -> torch.Tensor:
    """Scores [directions, prompts] float64 with each of the directions [n, d_model] ablated."""
    plan = Forced.of(model, prompts, score.continuations)

    def taps_of(rows: list[list[int]], variants: list[int], prompts: list[int]) -> _core.Taps:
        return ablation_taps(model, rows, directions[variants], prompts)

    parts = forced_log_probs(model, plan, len(directions), taps_of, batch_size, step)
    return _combined(score, prompts, parts)


def ablated_divergence(
    model: Model,
    prompts: Sequence[Prompt],
    directions: torch.Tensor,
    batch_size: int,
    step: Step,
) -> torch.Tensor:
    """KL(unchanged || ablated) of the next token [directions, prompts] in nats, float64."""
    plan = Forced.of(model, prompts, lambda _: [[0]])  # the prompt itself, read at its last place
    # The unchanged run is one more row of each prompt, the first.
    every = torch.cat([torch.zeros_like(directions[:1]), directions])
    pairs = plan.pairs(len(every))
    result = torch.zeros(len(every), len(prompts), dtype=torch.float64)
    base: tuple[int, torch.Tensor] | None = None
    for start in range(0, len(pairs), batch_size):
        part = pairs[start : start + batch_size]
        rows = [plan.lines[line].tokens for line, _ in part]
        taps = ablation_taps(model, rows, every[[variant for _, variant in part]])
        last = _last(final_residual(model, taps, rows), rows)
        for piece in chunks(len(part), model.cfg.d_vocab):
            for (line, variant), q in zip(part[piece], log_probs(model, last[piece]), strict=True):
                if variant == 0:
                    base = line, q
                assert base is not None
                p = base[1]
                result[variant, plan.lines[line].reads[0].prompt] = (p.exp() * (p - q)).sum()
        step(len(part))
    return result[1:]


def added_scores(
    model: Model,
    prompts: Sequence[Prompt],
    score: Score,
    additions: Sequence[Addition],
    batch_size: int,
    step: Step,
) -> torch.Tensor:
    """Scores [additions, prompts] float64 with each vector added at its point.

    Blocks below the addition run once for all of them: each run begins with the stored residual.
    """
    plan = Forced.of(model, prompts, score.continuations)
    results = plan.empty(len(additions))
    groups: dict[str, list[int]] = {}
    for index, addition in enumerate(additions):
        groups.setdefault(addition.point, []).append(index)
    lines_a_run = max(1, batch_size // max(len(group) for group in groups.values()))
    for start in range(0, len(plan.lines), lines_a_run):
        lines = list(range(start, min(start + lines_a_run, len(plan.lines))))
        stored = _stored(model, plan, lines, {additions[g[0]].layer for g in groups.values()})
        for group in groups.values():
            pairs = [(line, index) for line in lines for index in group]
            for first in range(0, len(pairs), batch_size):
                part = pairs[first : first + batch_size]
                residual = _added(model, plan, part, additions, stored, start)
                read_into(model, plan, part, residual, results)
                step(len(part))
    return _combined(score, prompts, results)


def _stored(
    model: Model, plan: Forced, lines: Sequence[int], layers: set[int]
) -> dict[int, torch.Tensor]:
    # What acts below an addition has to act in each run, so nothing is stored then.
    if model._hooks or model._steerings:
        return {}
    names = {layer: f"blocks.{layer}.hook_resid_pre" for layer in layers}
    rows = [plan.lines[line].tokens for line in lines]
    taps = new_taps(model, rows)
    for name in names.values():
        taps.capture(name)
    run_taps(model, taps, rows)
    return {layer: taps.captured[name] for layer, name in names.items()}


def _added(
    model: Model,
    plan: Forced,
    pairs: Sequence[Pair],
    additions: Sequence[Addition],
    stored: dict[int, torch.Tensor],
    start: int,
) -> torch.Tensor:
    first = additions[pairs[0][1]]
    vectors = torch.stack([additions[index].vector for _, index in pairs])
    v = vectors.to(model.core.device, model.core.dtype)[:, None]
    rows = [plan.lines[line].tokens for line, _ in pairs]
    taps = new_taps(model, rows, [plan.lines[line].prompt for line, _ in pairs])
    taps.write(first.point, lambda x: x + v)
    if first.layer not in stored:
        return final_residual(model, taps, rows)
    width = max(len(row) for row in rows)
    residual = stored[first.layer][[line - start for line, _ in pairs], :width]
    return final_residual(model, taps, rows, first.layer, residual)


def projections(
    model: Model,
    prompts: Sequence[Prompt],
    directions: dict[str, tuple[list[int], torch.Tensor]],
    batch_size: int,
    step: Step,
) -> dict[str, torch.Tensor]:
    """Activations along directions: {point: [prompts, directions]} float64.

    `directions` gives each point the offsets from a prompt's end and the unit vectors [n, d_model]
    belonging to them.
    """
    rows = model.prompt_tokens([prompt.text for prompt in prompts])
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    result = {
        point: torch.empty(len(rows), len(offsets), dtype=torch.float64)
        for point, (offsets, _) in directions.items()
    }
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        taken = [rows[i] for i in part]
        taps = new_taps(model, taken)
        for point, (offsets, units) in directions.items():
            places = torch.tensor([[len(rows[i]) + offset for offset in offsets] for i in part])
            taps.write(point, _projecting(places, units, result[point], part))
        run_taps(model, taps, taken)
        step(len(part))
    return result


def _projecting(
    places: torch.Tensor, units: torch.Tensor, result: torch.Tensor, part: Sequence[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    def tap(tensor: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(part))[:, None]
        chosen = tensor[rows.to(tensor.device), places.to(tensor.device)].cpu().double()
        result[list(part)] = (chosen * units).sum(-1)
        return tensor

    return tap


def _last(residual: torch.Tensor, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    places = torch.tensor([len(row) - 1 for row in rows], device=residual.device)
    return residual[torch.arange(len(rows), device=residual.device), places]


def _combined(
    score: Score, prompts: Sequence[Prompt], parts: Sequence[Sequence[torch.Tensor]]
) -> torch.Tensor:
    scores = [score.combine(prompt, one) for prompt, one in zip(prompts, parts, strict=True)]
    return torch.stack(scores, 1)
