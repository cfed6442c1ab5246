"""Directions and cones found by gradients through the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.editing.ablation import ablation_taps
from lenswright.estimators.cones import orthonormal
from lenswright.estimators.found import Directions, Found
from lenswright.measuring.forcing import continuation_ids
from lenswright.progress import Progress
from lenswright.prompting.prompts import PromptSet, need_role
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompts import Prompt


@dataclass(frozen=True)
class _Row:
    """A prompt with what shall follow it, and where that is predicted."""

    tokens: list[int]
    start: int
    targets: list[int]


def refined(
    model: Model,
    found: Directions,
    point: str,
    position: str | int,
    prompts: PromptSet,
    refusal: str,
    k: int = 1,
    steps: int = 50,
    rate: float = 0.01,
    weights: tuple[float, float, float] = (1.0, 0.2, 1.0),
    batch_size: int = 16,
    seed: int = 0,
    progress: bool = True,
) -> Directions:
    """A direction, or an orthonormal cone of k, refined by gradients of what it does.

    Adam on r (kept at unit length) for the loss

        w1 CE(answer | positive prompts, r ablated everywhere)
      + w2 CE(refusal | negative prompts, norm * r added at the point)
      + w3 KL(unchanged || r ablated) of the first token after negative prompts

    begun at a direction that was found; norm is that one's raw length. With k > 1 the cone is begun
    with that direction and random ones, made orthonormal after every step, and the loss is taken at
    a random non-negative combination of unit length and at every one of the directions in turn.

    Example:
        >>> found = lw.directions.difference_of_means(stats)
        >>> lw.directions.refined(model, found, "blocks.2.hook_resid_pre", -1, splits.fit,
        ...                       refusal="i can not help with that", steps=5)

    Args:
        found: where to begin.
        point, position: a residual point of the model.
        prompts: the `fit` part; its positive prompts have answers.
        refusal: what the model says where it declines.
        k: directions of the cone.
        steps, rate: of Adam.
        weights: w1, w2, w3, each at least 0.
        batch_size: prompts of each class a step.
        seed: of the batches and combinations.
        progress: show it where it takes longer than a second.

    Returns:
        Directions of that point and position; `more` has basis [1, k, d] and loss [1, steps].

    Raises:
        ValueError: prompts of another part or without answers; a setting out of range.
        KeyError: no such point or position.

    Source: Wollschläger et al. 2025 (arXiv 2502.17420), algorithms 1 and 2.
    """
    need_role(prompts, "fit", "refining a direction")
    if k < 1 or steps < 1 or not rate > 0 or min(weights) < 0:
        raise ValueError(
            f"k is {k}, steps {steps}, rate {rate}, weights {weights}, expected at least one "
            "direction and step, a rate above 0 and weights of at least 0"
        )
    begin = found.only(point, position)
    (one,) = begin.found.values()
    answered = _rows(model, prompts.positive, None)
    refused = _rows(model, prompts.negative, refusal)
    start = torch.cat(
        [one.unit.reshape(1, -1), _core.random_directions(max(k - 1, 1), one.unit.numel(), seed)]
    )[:k]
    task = _Task(model, point, float(one.norm[0]), answered, refused, weights)
    basis, losses = _descend(task, orthonormal(start), steps, rate, batch_size, seed, progress)
    settings: dict[str, Any] = {
        "k": k, "steps": steps, "rate": rate, "weights": list(weights), "seed": seed,
        "refusal": refusal, "batch_size": batch_size,
    }  # fmt: skip
    made = {"method": "refined", "settings": settings, "begun": begin.provenance.get("method")}
    unknown = torch.full((1,), torch.nan, dtype=torch.float64)
    result = Found(
        (basis[0] * one.norm[0]).reshape(one.raw.shape), basis[0].reshape(one.unit.shape),
        one.norm, unknown, unknown, unknown,
        {"basis": basis[None], "loss": torch.tensor([losses], dtype=torch.float64)},
    )  # fmt: skip
    return Directions({point: result}, begin.positions, begin.offsets, begin.provenance | made)


def _rows(model: Model, prompts: Sequence[Prompt], follows: str | None) -> list[_Row]:
    rows = []
    tokens = model.prompt_tokens([prompt.text for prompt in prompts])
    for prompt, row in zip(prompts, tokens, strict=True):
        text = prompt.answer if follows is None else follows
        if text is None:
            raise ValueError(f"prompts: {prompt} has no answer, expected one of every positive")
        ids = continuation_ids(model, prompt, text)
        rows.append(_Row(row + ids[:-1], len(row) - 1, ids))
    return rows


@dataclass(frozen=True)
class _Task:
    """What is run for a direction, and what it costs."""

    model: Model
    point: str
    norm: float
    answered: list[_Row]
    refused: list[_Row]
    weights: tuple[float, float, float]

    def loss(self, r: torch.Tensor, picks: Sequence[Sequence[int]]) -> torch.Tensor:
        """The three parts for a unit direction [d], on some rows of each class."""
        positive = [self.answered[i] for i in picks[0]]
        negative = [self.refused[i] for i in picks[1]]
        first, second, third = self.weights
        bare = [row.tokens[: row.start + 1] for row in negative]
        with torch.no_grad():
            base = self._log_probs(new_taps(self.model, bare), bare, last=True)
        ablated = self._log_probs(self._ablated(bare, r), bare, last=True)
        lost = (base.exp() * (base - ablated)).sum(-1).mean()
        return (
            first * self._cross_entropy(self._ablated([p.tokens for p in positive], r), positive)
            + second * self._cross_entropy(self._added([n.tokens for n in negative], r), negative)
            + third * lost
        )

    def _ablated(self, rows: list[list[int]], r: torch.Tensor) -> _core.Taps:
        return ablation_taps(self.model, rows, r.expand(len(rows), -1))

    def _added(self, rows: list[list[int]], r: torch.Tensor) -> _core.Taps:
        taps = new_taps(self.model, rows)
        taps.write(self.point, lambda x: x + (self.norm * r).to(x))
        return taps

    def _log_probs(self, taps: _core.Taps, rows: list[list[int]], last: bool) -> torch.Tensor:
        logits = run_taps(self.model, taps, rows, logits="last" if last else "all")
        assert logits is not None
        return torch.log_softmax(logits[:, 0] if last else logits, -1)

    def _cross_entropy(self, taps: _core.Taps, rows: Sequence[_Row]) -> torch.Tensor:
        table = self._log_probs(taps, [row.tokens for row in rows], last=False)
        losses = [
            -table[i, row.start : row.start + len(row.targets)]
            .gather(1, torch.tensor(row.targets, device=table.device)[:, None])
            .mean()
            for i, row in enumerate(rows)
        ]
        return torch.stack(losses).mean()


def _descend(
    task: _Task, basis: torch.Tensor, steps: int, rate: float, batch_size: int, seed: int,
    progress: bool,
) -> tuple[torch.Tensor, list[float]]:  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    basis = basis.clone().requires_grad_()
    optimiser = torch.optim.Adam([basis], lr=rate)
    losses = []
    with Progress("refine", steps, "steps", progress) as bar, torch.enable_grad():
        for step in range(steps):
            picks = [
                torch.randperm(len(rows), generator=random)[:batch_size].tolist()
                for rows in (task.answered, task.refused)
            ]
            optimiser.zero_grad()
            loss = task.loss(_unit(basis[step % len(basis)]), picks)
            if len(basis) > 1:
                mixed = torch.rand(len(basis), generator=random, dtype=torch.float64) @ basis
                loss = loss + task.loss(_unit(mixed), picks)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                basis.copy_(orthonormal(basis))
            losses.append(float(loss.detach()))
            bar.step()
    return basis.detach(), losses


def _unit(vector: torch.Tensor) -> torch.Tensor:
    return vector / vector.norm()
