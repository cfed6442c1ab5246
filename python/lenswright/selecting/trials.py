"""Many directions tried at once: rows of one batch that carry different ablations or additions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.editing.ablation import add_ablation
from lenswright.selecting.bundles import Bundle, Trial, Tried, bundled
from lenswright.selecting.late import Ends

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.prompting.prompts import Prompt, PromptSet
    from lenswright.selecting.runner import Runner
    from lenswright.selecting.scores import Score

Along = Mapping[str, tuple[Sequence[int], torch.Tensor]]
"""By point: offsets from a prompt's end, and the unit vectors [n, d_model] belonging to them."""


@dataclass(frozen=True)
class Addition:
    """A vector [d_model] added at a point, at all positions."""

    point: str
    layer: int
    vector: torch.Tensor


def unchanged(
    runner: Runner, prompts: PromptSet, layers: Sequence[int], along: Along
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
    """What the unchanged model has, by class, in one run over all prompts; float64.

    Returns:
        Means of the residual before `layers` at the prompts' ends [layers, d_model]; activations
        along directions, by point [prompts, directions].
    """
    model = runner.model
    sides = {"positive": prompts.positive, "negative": prompts.negative}
    trials = [Trial(model, side, None, False, layers, 1) for side in sides.values()]
    shapes = {point: len(offsets) for point, (offsets, _) in along.items()}
    found = [
        {point: torch.empty(len(side), n, dtype=torch.float64) for point, n in shapes.items()}
        for side in sides.values()
    ]
    for bundle in bundled(model, trials):

        def project(taps: _core.Taps, bundle: Bundle = bundle) -> None:
            for point, (offsets, units) in along.items():
                results = [own[point] for own in found]
                taps.write(point, _projecting(bundle, offsets, units, results))

        runner.run(bundle, trials, [0], project)
    late = {side: trial.late.means()[0] for side, trial in zip(sides, trials, strict=True)}
    return late, dict(zip(sides, found, strict=True))


def _projecting(
    bundle: Bundle, offsets: Sequence[int], units: torch.Tensor, results: Sequence[torch.Tensor]
) -> Callable[[torch.Tensor], torch.Tensor]:
    def tap(tensor: torch.Tensor) -> torch.Tensor:
        for prompts, result in zip(bundle.prompts, results, strict=True):
            for one in prompts:
                places = [one.places[offset] for offset in offsets]
                result[one.prompt] = (tensor[0, places].cpu().double() * units).sum(-1)
        return tensor

    return tap


def ablations(
    runner: Runner,
    prompts: PromptSet,
    score: Score | None,
    directions: torch.Tensor,
    layers: Sequence[int],
) -> tuple[Tried, Tried]:
    """Both classes with each of the directions [n, d_model] ablated, the first being zeros.

    Of the positive one scores and late residuals, of the negative one divergence from the first.
    One run of both does for a direction.
    """
    model, n = runner.model, len(directions)
    positive = Trial(model, prompts.positive, score, False, layers, n)
    negative = Trial(model, prompts.negative, None, True, [], n)
    for bundle in bundled(model, [positive, negative]):
        for part in runner.parts(bundle, range(n)):
            ablating = _ablating(runner, directions[part])
            runner.run(bundle, [positive, negative], part, ablating)
    return positive.result(), negative.result()


def _ablating(runner: Runner, directions: torch.Tensor) -> Callable[[_core.Taps], None]:
    return lambda taps: add_ablation(runner.model, taps, directions)


def additions(
    runner: Runner,
    prompts: Sequence[Prompt],
    score: Score | None,
    added: Sequence[Addition],
    ends: Ends,
) -> Tried:
    """Prompts of the negative class with each vector added at its point.

    Blocks below an addition run once for all of them: each run begins with the stored residual.
    """
    model = runner.model
    trial = Trial(model, prompts, score, False, ends.layers, len(added))
    groups: dict[str, list[int]] = {}
    for index, addition in enumerate(added):
        groups.setdefault(addition.point, []).append(index)
    for bundle in bundled(model, [trial]):
        stored = runner.stored(bundle, {addition.layer for addition in added})
        for group in groups.values():
            first = added[group[0]]
            start = first.layer if stored else 0
            for part in runner.parts(bundle, group):
                residual = stored[start].expand(len(part), -1, -1) if stored else None
                adding = _adding(runner, first.point, [added[i].vector for i in part])
                runner.run(bundle, [trial], part, adding, start, residual)
            _keep_below(trial, group, ends, start, len(bundle.prompts[0]))
    return trial.result()


def _adding(
    runner: Runner, point: str, vectors: Sequence[torch.Tensor]
) -> Callable[[_core.Taps], None]:
    core = runner.model.core
    v = torch.stack(list(vectors)).to(core.device, core.dtype)[:, None]
    return lambda taps: taps.write(point, lambda x: x + v)


def _keep_below(trial: Trial, group: Sequence[int], ends: Ends, start: int, count: int) -> None:
    # Below an addition the means are those of the unchanged model, added once for each prompt.
    for index, layer in enumerate(ends.layers):
        if layer < start:
            trial.late.sums[group, index] += count * ends.negative[index]
