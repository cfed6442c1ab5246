"""Every candidate direction tried on the select prompts, and random ones beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.selecting.bundles import Tried
from lenswright.selecting.choice import Null
from lenswright.selecting.choosing import Row
from lenswright.selecting.late import Ends
from lenswright.selecting.trials import Addition, Along, ablations, additions, unchanged

if TYPE_CHECKING:
    from lenswright.directions import Directions
    from lenswright.model import Model
    from lenswright.prompting.prompts import PromptSet
    from lenswright.selecting.runner import Runner
    from lenswright.selecting.scores import Score


class Grid:
    """The candidates' rows, which `try_all` fills in; then `null` says what chance would give.

    Variants of an ablation are: none, the candidates, the random directions.
    """

    def __init__(
        self, runner: Runner, prompts: PromptSet, score: Score | None, found: Directions,
        tried: Sequence[Row], noise: torch.Tensor,
    ) -> None:  # fmt: skip
        self.runner, self.prompts, self.score = runner, prompts, score
        self.found, self.tried, self.noise = found, tried, noise
        self.units = [found.vector(row["point"], row["offset"]) for row in tried]

    def try_all(self) -> None:
        """Write bypass, induce, kl, cosmic and separation into the rows."""
        n, none = len(self.tried), torch.zeros_like(self.noise[:1])
        layers = range(1, self.runner.model.cfg.n_layers)
        means, along = unchanged(self.runner, self.prompts, layers, self._along())
        self.ends = Ends.of(layers, means)
        every = torch.cat([none, torch.stack(self.units), self.noise])
        positive, negative = ablations(
            self.runner, self.prompts, self.score, every, self.ends.layers
        )
        self.bypass, self.late = self._scores(positive), positive.late
        assert negative.divergence is not None
        self.kl = negative.divergence.mean(1).tolist()
        places = [self._addition(row) for row in self.tried]
        places.append(Addition(places[0].point, places[0].layer, none[0]))  # unchanged
        added = self._added(places)
        induce = self._scores(added)
        cosmic = self.ends.swapped(self.late[1 : n + 1], added.late[:n]).tolist()
        apart = self._separations(along)
        for i, row in enumerate(self.tried):
            row |= {"bypass": self.bypass[1 + i], "kl": self.kl[1 + i], "induce": induce[i]}
            row |= {"cosmic": cosmic[i], "separation": apart[i]}
        alike = self.ends.swapped(self.late[:1], added.late[n:])
        self.base = {"bypass": self.bypass[0], "induce": induce[n], "cosmic": float(alike)}

    def null(self, chosen: Row) -> Null:
        """The same of the random directions, added where the chosen one was, as long as it."""
        n, place = len(self.tried), self._addition(chosen)
        strewn = [Addition(place.point, place.layer, row * chosen["norm"]) for row in self.noise]
        added = self._added(strewn)
        cosmic = self.ends.swapped(self.late[n + 1 :], added.late).tolist()
        return Null(self.bypass[n + 1 :], self._scores(added), self.kl[n + 1 :], cosmic, self.base)

    def _addition(self, row: Row) -> Addition:
        return Addition(row["point"], row["layer"], self.found.raw(row["point"], row["offset"]))

    def _added(self, places: Sequence[Addition]) -> Tried:
        return additions(self.runner, self.prompts.negative, self.score, places, self.ends)

    def _scores(self, tried: Tried) -> list[float]:
        values = self.ends.contrast(tried.late) if tried.scores is None else tried.scores.mean(1)
        return list(values.tolist())

    def _along(self) -> Along:
        places = self._by_point()
        return {
            point: ([self.tried[i]["offset"] for i in which],
                    torch.stack([self.units[i] for i in which]))
            for point, which in places.items()
        }  # fmt: skip

    def _by_point(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for index, row in enumerate(self.tried):
            places.setdefault(row["point"], []).append(index)
        return places

    def _separations(self, along: dict[str, dict[str, torch.Tensor]]) -> list[float]:
        result = [math.nan] * len(self.tried)
        for point, which in self._by_point().items():
            plus, minus = along["positive"][point], along["negative"][point]
            spread = ((plus.var(0) + minus.var(0)) / 2).sqrt()
            apart = ((plus.mean(0) - minus.mean(0)) / spread).tolist()
            for i, value in zip(which, apart, strict=True):
                result[i] = value
        return result


def work(model: Model, score: Score | None, prompts: PromptSet, tried: int, n_random: int) -> int:
    """Lines that a selection runs."""
    from lenswright.measuring.forcing import Forced

    def lines(part: str) -> int:
        every = getattr(prompts, part)
        if score is None:
            return len(every)
        return len(Forced.of(model, every, score.continuations).lines)

    directions = tried + 1 + n_random
    ablated = lines("positive") + len(prompts.negative)
    return (ablated + lines("negative")) * directions + len(prompts)
