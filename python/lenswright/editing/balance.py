"""Which of several edits to take: the gentlest of those that reach nearly as far as the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright.selecting.scores import RefusalScore, Score, score_prompts

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt, PromptSet

REACH = 0.9


class Trials:
    """Edits tried on the selection split: how far they reach, and what they change besides."""

    def __init__(
        self, model: Model, prompts: PromptSet, score: Score | None, batch_size: int
    ) -> None:
        self.model, self.prompts, self.batch_size = model, prompts, batch_size
        self.score = (score or RefusalScore()).prepare(model, prompts)
        self.unedited = self._bypass()
        self.base = self._next_tokens(prompts.negative)

    def row(self, edit: Edit) -> dict[str, float]:
        """bypass: mean score of positive prompts; kl: of the next token of negative ones, nats."""
        with self.model.edited(edit):
            bypass, after = self._bypass(), self._next_tokens(self.prompts.negative)
        divergence = (self.base.exp() * (self.base - after)).sum(-1).mean()
        return {"bypass": bypass, "kl": float(divergence)}

    def _bypass(self) -> float:
        scores = score_prompts(self.model, self.score, self.prompts.positive, self.batch_size)
        return sum(scores) / len(scores)

    def _next_tokens(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        rows = self.model.prompt_tokens([prompt.text for prompt in prompts])
        parts = []
        for start in range(0, len(rows), self.batch_size):
            logits = self.model(rows[start : start + self.batch_size], logits_at="last")
            parts.append(logits[:, -1].double().log_softmax(-1))
        return torch.cat(parts)


def gentlest(rows: Sequence[dict[str, Any]], unedited: float) -> int:
    """Index of the least kl among those that lower the score nearly as far as the best does."""
    best = min(row["bypass"] for row in rows)
    bound = unedited - REACH * (unedited - best)
    reaching = [i for i, row in enumerate(rows) if row["bypass"] <= bound] or [
        min(range(len(rows)), key=lambda i: rows[i]["bypass"])
    ]
    return min(reaching, key=lambda i: rows[i]["kl"])
