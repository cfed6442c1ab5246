"""Multiple choice by log-likelihood: which of a prompt's choices a model finds most probable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.measuring.forcing import continuation_ids
from lenswright.prompting.prompts import Prompt, PromptSet
from lenswright.selecting.scores import NOT_READY

if TYPE_CHECKING:
    from lenswright.model import Model


def has_choices(prompt: Prompt) -> bool:
    """Whether a prompt's row has "choices" to choose from."""
    return prompt.extra.get("choices") is not None


def choices_of(prompt: Prompt) -> list[str]:
    """A prompt's choices, its answer among them.

    Raises:
        ValueError: "choices" is no list of at least two different texts, or lacks the answer.
    """
    given = prompt.extra.get("choices")
    choices = given if isinstance(given, list) else []
    texts = all(isinstance(choice, str) for choice in choices)
    if not texts or len(choices) < 2 or len(set(choices)) != len(choices):
        raise ValueError(
            f"choices of prompt {prompt.text!r} are {given!r}, expected at least two different "
            "texts"
        )
    if prompt.answer not in choices:
        raise ValueError(
            f"answer of prompt {prompt.text!r} is {prompt.answer!r}, expected one of its choices "
            f"{choices!r}"
        )
    return choices


class MultipleChoice:
    """1 where a prompt's answer is the most probable of its "choices", else 0: a `Score`.

    The log-likelihood of a choice is the sum over its tokens, as they continue the prompt; of
    equals, the first counts. Prompts have "choices" (a list of texts) and "answer" (one of them) in
    their rows.
    """

    def __init__(self) -> None:
        self._model: Model | None = None

    def prepare(self, model: Model, prompts: PromptSet) -> MultipleChoice:
        """The same score for this model; `prompts` are not needed."""
        ready = MultipleChoice()
        ready._model = model
        return ready

    def continuations(self, prompt: Prompt) -> list[list[int]]:
        """Every choice as it is tokenised behind the prompt."""
        if self._model is None:
            raise RuntimeError(NOT_READY)
        return [continuation_ids(self._model, prompt, choice) for choice in choices_of(prompt)]

    def combine(self, prompt: Prompt, log_probs: Sequence[torch.Tensor]) -> torch.Tensor:
        """1 or 0 for each run, [runs] float64."""
        right = choices_of(prompt).index(str(prompt.answer))
        whole = torch.stack([part.sum(-1) for part in log_probs])  # [choices, runs]
        return (whole.argmax(0) == right).double()

    def __repr__(self) -> str:
        return "MultipleChoice()"
