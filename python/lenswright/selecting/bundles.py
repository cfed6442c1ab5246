"""Prompts that are run under many variants, packed together, and what is read of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.measuring.forcing import Forced, Line
from lenswright.selecting.late import LateMeans
from lenswright.selecting.packing import Pack, budget_of, packed
from lenswright.selecting.reads import Read, SpreadRead, TokenRead

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompts import Prompt
    from lenswright.selecting.scores import Score


@dataclass(frozen=True)
class Tried:
    """What a class of prompts gives under each variant.

    scores [variants, prompts] (None without a score), divergence [variants, prompts] nats (None
    where not asked for), late [variants, layers, d_model]: float64.
    """

    scores: torch.Tensor | None
    divergence: torch.Tensor | None
    late: torch.Tensor


@dataclass(frozen=True)
class Standing:
    """Where the ids of a prompt stand in a pack."""

    prompt: int
    places: Sequence[int]


class Trial:
    """Prompts of a class that are run under many variants, and where their results go."""

    def __init__(
        self, model: Model, prompts: Sequence[Prompt], score: Score | None, spread: bool,
        layers: Sequence[int], variants: int,
    ) -> None:  # fmt: skip
        self.prompts, self.score = prompts, score
        # Where no continuation is scored, the prompt itself is run all the same.
        self.plan = Forced.of(
            model, prompts, lambda p: [[0]] if score is None else score.continuations(p)
        )
        self.results = self.plan.empty(variants)
        shape = variants, len(prompts)
        self.divergence = torch.zeros(shape, dtype=torch.float64) if spread else None
        self.late = LateMeans.empty(model, layers, variants)
        self.late.prompts = len(prompts)
        self._begun: set[int] = set()

    @property
    def lines(self) -> list[Line]:
        """The rows of ids."""
        return self.plan.lines

    def reads(self, line: Line, places: Sequence[int]) -> tuple[list[Read], list[Standing]]:
        """What to read of one line, and where its prompt stands if no other line has had it yet."""
        reads: list[Read] = []
        for read in line.reads if self.score is not None else ():
            result = self.results[read.prompt][read.continuation]
            for step, target in enumerate(read.targets):
                reads.append(TokenRead(places[read.start + step], target, result, step))
        first = line.reads[0]
        if first.prompt in self._begun:
            return reads, []
        self._begun.add(first.prompt)
        if self.divergence is not None:
            reads.append(SpreadRead(places[first.start], self.divergence[:, first.prompt]))
        return reads, [Standing(first.prompt, places[: first.start + 1])]

    def result(self) -> Tried:
        """Once every pack has been run."""
        scores = None
        if self.score is not None:
            pairs = zip(self.prompts, self.results, strict=True)
            scores = torch.stack([self.score.combine(p, parts) for p, parts in pairs], 1)
        return Tried(scores, self.divergence, self.late.means())


@dataclass
class Bundle:
    """A pack of several trials' lines, and what is read in it."""

    pack: Pack
    prompt: int  # how many ids are the prompt, of a single line
    reads: list[Read]
    prompts: list[list[Standing]]  # by trial

    @property
    def lines(self) -> int:
        """How many lines it is."""
        return len(self.pack.lines)

    @property
    def wanted(self) -> list[int]:
        """Places whose final residual is read, ascending."""
        return sorted({read.place for read in self.reads})


def bundled(model: Model, trials: Sequence[Trial]) -> Iterator[Bundle]:
    """The lines of all trials, packed together."""
    every = [(t, line) for t, trial in enumerate(trials) for line in trial.lines]
    for pack in packed([line.tokens for _, line in every], budget_of(model)):
        reads: list[Read] = []
        prompts: list[list[Standing]] = [[] for _ in trials]
        for index in pack.lines:
            t, line = every[index]
            more, standing = trials[t].reads(line, pack.places[index])
            reads += more
            prompts[t] += standing
        prompt = every[pack.lines[0]][1].prompt
        yield Bundle(pack, prompt, reads, prompts)
