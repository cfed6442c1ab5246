"""Gates of a mixture: a row for each expert and layer, from prompts or by chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lenswright import _files
from lenswright.merging.mixture.recipe import Expert, MixtureRecipe
from lenswright.progress import Progress

if TYPE_CHECKING:
    from lenswright.model import Model

_TOGETHER = 16  # prompts a run


def gates(
    recipe: MixtureRecipe,
    experts: Sequence[Expert],
    folder: Path,
    sizes: tuple[int, int],
    seed: int,
    stream: str = "gate",
    progress: bool = True,
) -> torch.Tensor:
    """Rows of routers, [layers, experts, d_model] in float64.

    hidden: what stands before each layer at the last token of a prompt, averaged over an expert's
    positive prompts, minus the same of its negative ones, scaled to length 1. hidden_avg: averaged
    over all tokens. cheap_embed: the sum of the tokens' embeddings, the same in all layers. random:
    standard normal; uniform_random: uniform within ±1/√d_model; by seed, stream, layer and place.

    Args:
        recipe: its `gates` says how.
        experts: those to make rows for.
        folder: the base model's.
        sizes: layers and d_model.
        seed: of chance.
        stream: tells several routers of one mixture apart.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: an expert whose prompts cancel, so that there is no direction.

    Source: merging of experts by hidden states, C. Goddard 2024, mergekit-moe.
    """
    if not recipe.prompted:
        return _drawn(recipe.gates, len(experts), sizes, seed, stream)
    from lenswright.loading import load

    model = load(folder, dtype="float64")
    count = sum(len(e.positive) + len(e.negative) for e in experts)
    rows = []
    with Progress("gates", count, "prompts", progress) as bar, torch.no_grad():
        for expert in experts:
            row = _mean(model, expert.positive, recipe.gates, bar)
            if expert.negative:
                row = row - _mean(model, expert.negative, recipe.gates, bar)
            lengths = row.norm(dim=-1, keepdim=True)
            if not bool((lengths > 0).all()):
                layer = int((lengths[:, 0] <= 0).nonzero()[0])
                raise ValueError(
                    f"{expert.where}: positive and negative prompts cancel in layer {layer}; "
                    "expected prompts that differ, in their last tokens too, or gate_mode: "
                    "hidden_avg"
                )
            rows.append((row / lengths).expand(sizes[0], -1))
    return torch.stack(rows, 1)


def _mean(model: Model, prompts: Sequence[str], mode: str, bar: Progress) -> torch.Tensor:
    """Of what prompts have, [layers, d_model], or [1, d_model] where layers are alike."""
    total = torch.zeros(1, model.cfg.d_model, dtype=torch.float64)
    for start in range(0, len(prompts), _TOGETHER):
        batch = list(prompts[start : start + _TOGETHER])
        rows = [torch.as_tensor(model.to_tokens(text)[0]) for text in batch]
        if mode == "cheap_embed":
            table = model.W_E
            total = total + sum(table[row].double().sum(0) for row in rows)
        else:
            total = total + _before_layers(model, rows, mode)
        bar.step(len(batch))
    return total / len(prompts)


def _before_layers(model: Model, rows: Sequence[torch.Tensor], mode: str) -> torch.Tensor:
    cache = model.capture([row.tolist() for row in rows], "resid_pre")
    out = []
    for layer in range(model.cfg.n_layers):
        states = cache["resid_pre", layer].double()
        each = [
            state[: len(row)].mean(0) if mode == "hidden_avg" else state[len(row) - 1]
            for state, row in zip(states, rows, strict=True)
        ]
        out.append(torch.stack(each).sum(0))
    return torch.stack(out)


def _drawn(mode: str, experts: int, sizes: tuple[int, int], seed: int, stream: str) -> torch.Tensor:
    layers, width = sizes
    out = torch.empty(layers, experts * width, dtype=torch.float64)
    for layer in range(layers):
        chance = _files.Philox(seed, f"{stream}.{layer}")
        if mode == "random":
            numbers = [chance.normal(i) for i in range(experts * width)]
        else:
            numbers = [(2 * chance.uniform(i) - 1) / width**0.5 for i in range(experts * width)]
        out[layer] = torch.tensor(numbers, dtype=torch.float64)
    return out.view(layers, experts, width)


def condition(rows: torch.Tensor) -> list[float]:
    """Of each layer's router: the largest singular value over the smallest, inf where that is 0."""
    values = torch.linalg.svdvals(rows)
    return [
        float(v[0] / v[-1]) if float(v[-1]) > 1e-12 * float(v[0]) else float("inf") for v in values
    ]
