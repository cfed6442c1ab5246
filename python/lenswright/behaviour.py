"""How a model behaves on the test prompts of each class, with an edit in trial or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lenswright.probes import Probe
from lenswright.prompts import Prompt, PromptSet
from lenswright.refusal import RefusalDetector, same_answer
from lenswright.responses import (
    Spoken,
    answer_residuals,
    divergences,
    respond,
    with_answers,
)
from lenswright.scores import Score, score_prompts

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.steering import Steering

Pairs = list[tuple[list[int], list[int]]]


@dataclass
class Outcome:
    """One model's behaviour on the test prompts of each class, prompt by prompt."""

    spoken: dict[str, list[Spoken]] = field(default_factory=dict)
    refused: dict[str, list[bool]] = field(default_factory=dict)
    true: dict[str, list[bool]] = field(default_factory=dict)  # classes with an answer each
    # KL(unedited ‖ this), nats a token
    kl_forward: dict[str, list[float]] = field(default_factory=dict)
    kl_reverse: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)  # of the score asked for
    probes: dict[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, tuple[str, list[float]]]:
        """Every measure: name -> (unit, one value a prompt)."""
        out: dict[str, tuple[str, list[float]]] = {}
        for name, flags in self.refused.items():
            out[f"refusal, {name}"] = ("rate", [float(f) for f in flags])
        for name, flags in self.true.items():
            out[f"truth, {name}"] = ("rate", [float(f) for f in flags])
        for title, values in (
            ("KL(base‖edited)", self.kl_forward),
            ("KL(edited‖base)", self.kl_reverse),
        ):
            for name, numbers in values.items():
                out[f"{title}, {name}"] = ("nats", numbers)
        for name, numbers in self.scores.items():
            out[f"score, {name}"] = ("nats", numbers)
        for name, number in self.probes.items():
            out[name] = ("nats", [number])
        return out


class Bench:
    """Test prompts by class, and the unedited model's answers to them.

    A class is a row's "class", or "positive" and "negative". KL is taken over all answer tokens, of
    the set's answers or else the unedited model's, on every class but the positive ones.

    Args:
        detector: finds refusals; None: they are not looked for.
        score: of each prompt; None: there is none.
        probes: name -> function of the model.
    """

    def __init__(
        self,
        model: Model,
        prompts: PromptSet,
        detector: RefusalDetector | None,
        score: Score | None,
        max_new_tokens: int,
        batch_size: int,
        probes: Mapping[str, Probe],
    ) -> None:
        self.model, self.prompts, self.detector = model, prompts, detector
        self.max_new_tokens, self.batch_size, self.probes = max_new_tokens, batch_size, probes
        self.classes: dict[str, list[Prompt]] = {}
        self.positive: set[str] = set()
        for kind in ("positive", "negative"):
            for prompt in prompts.of(kind):
                name = str(prompt.extra.get("class", kind))
                self.classes.setdefault(name, []).append(prompt)
                if kind == "positive":
                    self.positive.add(name)
        with torch.no_grad():
            self.score = None if score is None else score.prepare(model, prompts)
            self.base = self._behaviour(self.classes, speak=True)
            self.pairs: dict[str, Pairs] = {
                name: with_answers(model, self.base.spoken[name])
                for name in self.classes
                if name not in self.positive
            }
            self.base_residuals = {
                name: answer_residuals(model, pairs, batch_size)
                for name, pairs in self.pairs.items()
            }

    def _behaviour(self, classes: Mapping[str, Sequence[Prompt]], speak: bool) -> Outcome:
        result = Outcome(probes={name: probe(self.model) for name, probe in self.probes.items()})
        for name, prompts in classes.items():
            if self.score is not None:
                result.scores[name] = score_prompts(
                    self.model, self.score, prompts, self.batch_size
                )
            known = all(p.answer is not None for p in prompts)
            if not speak and self.detector is None and not known:
                continue
            said = respond(self.model, list(prompts), self.max_new_tokens, self.batch_size)
            result.spoken[name] = said
            if self.detector is not None:
                result.refused[name] = [self.detector(s.text) for s in said]
            if known:
                result.true[name] = [same_answer(s.text, s.prompt.answer or "") for s in said]
        return result

    def outcome(self, edit: Edit | Steering | None, limit: int | None = None) -> Outcome:
        """The behaviour under an edit in trial, steered, or as it is, on `limit` of each class."""
        with torch.no_grad():
            if edit is None:
                return self._measured(limit)
            with in_force(self.model, edit):
                return self._measured(limit)

    def _measured(self, limit: int | None) -> Outcome:
        result = self._behaviour({name: p[:limit] for name, p in self.classes.items()}, speak=False)
        for name, pairs in self.pairs.items():
            edited = answer_residuals(self.model, pairs[:limit], self.batch_size)
            result.kl_forward[name], result.kl_reverse[name] = divergences(
                self.model, self.base_residuals[name][:limit], edited
            )
        return result


def in_force(model: Model, change: Edit | Steering) -> AbstractContextManager[Model]:
    """Every run within is under an edit in trial, or steered."""
    from lenswright.steering import Steering

    return model.steered(change) if isinstance(change, Steering) else model.edited(change)
