"""Which of several edits to take: the gentlest of those that leave the behaviour to next to none.

All of it is judged on the selection split: what is chosen has never seen a prompt of the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright.selecting.scores import RefusalScore, Score, score_prompts

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt, PromptSet

LEFT = 0.05
"""The part of the positive prompts that may still show the behaviour."""


class Trials:
    """Edits tried on the selection split: how far they reach, and what they change besides."""

    def __init__(
        self, model: Model, prompts: PromptSet, score: Score | None, batch_size: int
    ) -> None:
        self.model, self.prompts, self.batch_size = model, prompts, batch_size
        self.score = (score or RefusalScore()).prepare(model, prompts)
        scores = self._scores()
        self.unedited = sum(scores) / len(scores)
        self.base = self._next_tokens(prompts.negative)

    def row(self, edit: Edit) -> dict[str, float]:
        """bypass: mean score of positive prompts, left: the part of them with a score above 0, who
        still show the behaviour; kl: of the next token of negative ones, nats.
        """
        with self.model.edited(edit):
            scores, after = self._scores(), self._next_tokens(self.prompts.negative)
        divergence = (self.base.exp() * (self.base - after)).sum(-1).mean()
        left = sum(score > 0 for score in scores) / len(scores)
        return {"bypass": sum(scores) / len(scores), "left": left, "kl": float(divergence)}

    def _scores(self) -> list[float]:
        return score_prompts(self.model, self.score, self.prompts.positive, self.batch_size)

    def _next_tokens(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        rows = self.model.prompt_tokens([prompt.text for prompt in prompts])
        parts = []
        for start in range(0, len(rows), self.batch_size):
            logits = self.model(rows[start : start + self.batch_size], logits_at="last")
            parts.append(logits[:, -1].double().log_softmax(-1))
        return torch.cat(parts)


def gentlest(rows: Sequence[dict[str, Any]]) -> int:
    """Index of the least kl among those that leave at most `LEFT`; where none does, of the one that
    lowers the score furthest.

    A mean that is lowered far may hide the prompts on which nothing changed, hence the part.
    """
    enough = [i for i, row in enumerate(rows) if row["left"] <= LEFT]
    if not enough:
        return min(range(len(rows)), key=lambda i: rows[i]["bypass"])
    return min(enough, key=lambda i: rows[i]["kl"])
