"""Which of several edits to take: the gentlest of those that leave next to none of the behaviour.

All of it is judged on the selection split: what chooses has never seen a prompt of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from lenswright.batches import batches
from lenswright.editing.closed_form import NothingFreeError, Settings
from lenswright.measuring.responses import (
    Spoken,
    answer_residuals,
    divergences,
    respond,
    with_answers,
)
from lenswright.selecting.scores import RefusalScore, Score, score_prompts

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import PromptSet

LEFT = 0.05
"""The part of the positive prompts that may still show the behaviour."""

OPENING = 8
"""Tokens by which two answers are told apart."""

ANSWER = 32
"""Tokens of negative prompts' answers, where the set has none."""


class Trials:
    """Edits tried on the selection split: how far they reach, and what they change besides."""

    def __init__(
        self, model: Model, prompts: PromptSet, score: Score | None, batch_size: int
    ) -> None:
        self.model, self.prompts, self.batch_size = model, prompts, batch_size
        self.score = (score or RefusalScore()).prepare(model, prompts)
        self.rows = model.prompt_tokens([prompt.text for prompt in prompts.positive])
        with torch.no_grad():
            scores = self._scores()
            self.unedited = sum(scores) / len(scores)
            self.showing = [i for i, score in enumerate(scores) if score > 0]
            self.said = self._said()
            self.pairs = with_answers(model, self._answered())
            self.base = answer_residuals(model, self.pairs, batch_size)

    def row(self, edit: Edit) -> dict[str, float]:
        """What an edit does.

        bypass: mean score of positive prompts. left: the part of them with a score above 0. same:
        the part whose answer begins as before though it showed the behaviour; only of refusals, as
        other behaviours may be one word of an answer. kl: divergence over all answer tokens of
        negative prompts, nats.
        """
        with torch.no_grad(), self.model.edited(edit):
            scores, said = self._scores(), self._said()
            after = answer_residuals(self.model, self.pairs, self.batch_size)
        answers = [answer for _, answer in self.pairs]
        _, kl = divergences(self.model, self.base, after, answers)["KL(base‖edited)"]
        row = {
            "bypass": sum(scores) / len(scores),
            "left": sum(score > 0 for score in scores) / len(scores),
            "kl": sum(kl) / len(kl),
        }
        if said:
            kept = sum(said[i] == self.said[i] for i in self.showing)
            row["same"] = kept / len(scores)
        return row

    def _scores(self) -> list[float]:
        return score_prompts(self.model, self.score, self.prompts.positive, self.batch_size)

    def _said(self) -> list[list[int]]:
        if not isinstance(self.score, RefusalScore):
            return []
        said: list[list[int]] = []
        for part in batches(len(self.rows), self.batch_size):
            said += self.model.generate(self.rows[part], OPENING, return_type="tokens")
        return said

    def _answered(self) -> list[Spoken]:
        negative = self.prompts.negative
        if any(prompt.answer is None for prompt in negative):
            return respond(self.model, negative, ANSWER, self.batch_size)
        rows = self.model.prompt_tokens([prompt.text for prompt in negative])
        return [Spoken(p, ids, [], "") for p, ids in zip(negative, rows, strict=True)]


def alternatives(
    base: Settings, balance: float | Sequence[float], null_share: float | Sequence[float]
) -> tuple[str, list[Settings]]:
    """Settings to choose among, and the name of the one in which they differ.

    Raises:
        ValueError: no number, several of both, or one out of range.
    """
    given = {
        name: [value] if isinstance(value, (int, float)) else list(value)
        for name, value in (("balance", balance), ("null_share", null_share))
    }
    for name, numbers in given.items():
        if not numbers:
            raise ValueError(f"{name} is empty, expected at least one number")
    several = [name for name, numbers in given.items() if len(numbers) > 1]
    if len(several) > 1:
        raise ValueError("balance and null_share are several numbers each, expected one of them")
    name = several[0] if several else "balance"
    every = [
        replace(base, balance=one, null_share=share)
        for one in given["balance"] for share in given["null_share"]
    ]  # fmt: skip
    for settings in every:
        settings.check()
    return name, every


def best_of(
    trials: Trials, name: str, every: Sequence[Settings], make: Callable[[Settings], Edit]
) -> tuple[Settings, list[dict[str, Any]]]:
    """The gentlest of the settings, and a row of each: what its edit does, or why there is none.

    Raises:
        NothingFreeError: none of them gives an edit.
    """
    rows: list[dict[str, Any]] = []
    for settings in every:
        row: dict[str, Any] = {name: getattr(settings, name)}
        try:
            row |= trials.row(make(settings))
        except NothingFreeError as error:
            if settings is every[-1] and not any("kl" in other for other in rows):
                raise
            row["why"] = str(error)
        rows.append(row)
    tried = [i for i, row in enumerate(rows) if "kl" in row]
    return every[tried[gentlest([rows[i] for i in tried])]], rows


def gentlest(rows: Sequence[dict[str, Any]]) -> int:
    """Index of the least kl among those that leave at most `LEFT` by either account; where none
    does, of the strongest: least is the same, then left, then the mean score.

    A mean that is lowered far may hide the prompts on which nothing changed, hence the parts; and
    an edit that makes refusing no more likely than the truth may still not make it unlikely.
    """
    enough = [i for i, row in enumerate(rows) if max(row["left"], row.get("same", 0.0)) <= LEFT]
    if enough:
        return min(enough, key=lambda i: rows[i]["kl"])

    def weakness(i: int) -> tuple[float, float, float]:
        return rows[i].get("same", 0.0), rows[i]["left"], rows[i]["bypass"]

    return min(range(len(rows)), key=weakness)
