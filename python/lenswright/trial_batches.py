"""Edits times prompts as rows of batches that carry an edit each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright.batches import batches
from lenswright.editing.stacking import stack
from lenswright.measuring.forcing import Forced, forced_log_probs
from lenswright.progress import Progress
from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.editing.edit import Edit
    from lenswright.generating.generation import Generated
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt
    from lenswright.selecting.scores import Score

Reads = Callable[[torch.Tensor], torch.Tensor]  # of logits [rows, d_vocab]: [rows, ...]


class TrialBatches:
    """Edits times prompts, so many rows at a time; rows of one batch differ little in length."""

    def __init__(
        self, model: Model, edits: Sequence[Edit], rows: list[list[int]], size: int, progress: bool
    ) -> None:
        self.model, self.rows, self.size, self.shown = model, rows, size, progress
        self.count = len(edits)
        self.many = stack(edits)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        self.pairs = [(edit, prompt) for prompt in order for edit in range(self.count)]
        next(batches(len(self.pairs), size))  # says what is wrong with the size

    def change(self, of: Sequence[int]) -> list[Edit]:
        # Edits of nothing have no rows.
        return [self.many.take(of)] if self.many.rows else []

    def parts(self) -> Iterator[tuple[list[tuple[int, int]], list[list[int]]]]:
        total = len(self.pairs)
        with torch.no_grad(), Progress("trial", total, "rows", self.shown) as progress:
            for part in batches(len(self.pairs), self.size):
                pairs = self.pairs[part]
                with self.model.edited(*self.change([edit for edit, _ in pairs])):
                    yield pairs, [self.rows[prompt] for _, prompt in pairs]
                progress.step(len(pairs))

    def logits(self, read: Reads) -> torch.Tensor:
        result: torch.Tensor | None = None
        for pairs, rows in self.parts():
            found = read(self.model(rows, logits_at="last")[:, 0])
            if result is None:
                shape = (self.count, len(self.rows), *found.shape[1:])
                result = torch.empty(shape, dtype=found.dtype, device=found.device)
            edits, prompts = zip(*pairs, strict=True)
            result[list(edits), list(prompts)] = found
        assert result is not None
        return result

    def texts(self, how: dict[str, Any]) -> list[list[tuple[Generated, int]]]:
        said: list[list[Any]] = [[None] * len(self.rows) for _ in range(self.count)]
        seeds = self._seeds(how.pop("seed", None))
        for pairs, rows in self.parts():
            own = [seeds[prompt] for _, prompt in pairs]
            made = self.model.generate(rows, seed=own, return_type="both", **how)
            for row, (edit, prompt) in enumerate(pairs):
                said[edit][prompt] = made, row
        return said

    def _seeds(self, seed: int | Sequence[int] | None) -> list[int]:
        # As generation of the prompts alone has them: that of row 0, then the next numbers.
        count = len(self.rows)
        if isinstance(seed, Sequence):
            if len(seed) != count:
                raise ValueError(f"seed has {len(seed)} numbers, expected one for {count} prompts")
            return list(seed)
        return [(seed or 0) + i for i in range(count)]

    def scores(self, score: Score, prompts: Sequence[Prompt]) -> torch.Tensor:
        def taps(rows: list[list[int]], edits: list[int], told: list[int]) -> _core.Taps:
            with self.model.edited(*self.change(edits)):
                return new_taps(self.model, rows, told)

        plan = Forced.of(self.model, prompts, score.continuations)
        total = self.count * len(plan.lines)
        with torch.no_grad(), Progress("trial", total, "rows", self.shown) as progress:
            found = forced_log_probs(self.model, plan, self.count, taps, self.size, progress.step)
        pairs = zip(prompts, found, strict=True)
        return torch.stack([score.combine(prompt, parts) for prompt, parts in pairs], 1)
