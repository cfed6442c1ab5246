"""How a model behaves on the test prompts of each class, with an edit in trial or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lenswright.generating.thinking import mark_ids, marks_of
from lenswright.measuring.degeneration import degenerate
from lenswright.measuring.judges import ModelJudge
from lenswright.measuring.multiple_choice import MultipleChoice, has_choices
from lenswright.measuring.probes import Probe
from lenswright.measuring.refusal import RefusalDetector, same_answer
from lenswright.measuring.responses import (
    Spoken,
    answer_residuals,
    divergences,
    respond,
    with_answers,
)
from lenswright.prompting.prompts import Prompt, PromptSet
from lenswright.selecting.scores import Score, score_prompts

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.steering import Steering

Pairs = list[tuple[list[int], list[int]]]
Judge = Callable[[Prompt, str], float]
Values = dict[str, tuple[str, list[float]]]


@dataclass
class Outcome:
    """One model's behaviour on the test prompts of each class, prompt by prompt.

    spoken: what was said, by class. values: every measure, "name, class" -> (unit, one a prompt).
    """

    spoken: dict[str, list[Spoken]] = field(default_factory=dict)
    values: Values = field(default_factory=dict)

    def flags(self, measure: str, name: str) -> list[bool] | None:
        """The yes or no of each prompt of a class; None where it was not measured."""
        found = self.values.get(f"{measure}, {name}")
        return None if found is None else [value > 0.5 for value in found[1]]


class Bench:
    """Test prompts by class, and the unedited model's answers to them.

    A class is a row's "class", or "positive" and "negative". KL is taken over all answer tokens, of
    the set's answers or else the unedited model's, on every class but the positive ones.

    Args:
        detector: finds refusals; None: they are not looked for.
        scores: of each prompt, by name.
        probes: name -> function of the model.
        judges: name -> what makes a number, or yes or no, of a prompt and its response.
    """

    def __init__(
        self,
        model: Model,
        prompts: PromptSet,
        detector: RefusalDetector | None,
        scores: Mapping[str, Score] | None,
        max_new_tokens: int,
        batch_size: int,
        probes: Mapping[str, Probe],
        judges: Mapping[str, Judge],
    ) -> None:
        self.model, self.prompts, self.detector = model, prompts, detector
        self.max_new_tokens, self.batch_size = max_new_tokens, batch_size
        self.probes, self.judges = probes, judges
        self.thinks = marks_of(model.tokenizer) is not None
        self.classes: dict[str, list[Prompt]] = {}
        self.positive: set[str] = set()
        for kind in ("positive", "negative"):
            for prompt in prompts.of(kind):
                name = str(prompt.extra.get("class", kind))
                self.classes.setdefault(name, []).append(prompt)
                if kind == "positive":
                    self.positive.add(name)
        with torch.no_grad():
            given = scores or {}
            self.scores = {name: score.prepare(model, prompts) for name, score in given.items()}
            self.choice = MultipleChoice().prepare(model, prompts)
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
            self._compare(self.base, self.base_residuals, None)

    def _behaviour(self, classes: Mapping[str, Sequence[Prompt]], speak: bool) -> Outcome:
        result = Outcome()
        for name, prompts in classes.items():
            for title, score, unit in self._scores(prompts):
                numbers = score_prompts(self.model, score, prompts, self.batch_size)
                result.values[f"{title}, {name}"] = (unit, numbers)
            known = all(p.answer is not None for p in prompts)
            if speak or self.detector is not None or self.judges or known:
                said = respond(self.model, list(prompts), self.max_new_tokens, self.batch_size)
                result.spoken[name] = said
                told = self._told(said, known)
                result.values |= {f"{title}, {name}": found for title, found in told.items()}
        for name, probe in self.probes.items():
            result.values[name] = ("nats", [probe(self.model)])
        return result

    def _scores(self, prompts: Sequence[Prompt]) -> list[tuple[str, Score, str]]:
        """What is read from forced continuations: title, score and its unit."""
        scores = [(name, score, "nats") for name, score in self.scores.items()]
        if all(map(has_choices, prompts)):
            scores.append(("choice", self.choice, "rate"))
        return scores

    def _told(self, said: Sequence[Spoken], known: bool) -> Values:
        """What the texts themselves tell: title -> (unit, one number a prompt)."""
        told: Values = {}
        if self.detector is not None:
            told["refusal"] = ("rate", [float(self.detector(s.text)) for s in said])
            told["opening refusal"] = ("rate", [float(self.detector.opens(s.text)) for s in said])
        if known:
            right = [same_answer(s.text, s.prompt.answer or "") for s in said]
            told["truth"] = ("rate", [float(flag) for flag in right])
        told["no answer"] = ("rate", [float(degenerate(s.text, s.response)) for s in said])
        told["length"] = ("tokens", [float(len(s.response)) for s in said])
        if self.thinks:
            told |= self._reasoned(said)
        for title, judge in self.judges.items():
            pairs = [(s.prompt, s.text) for s in said]
            if isinstance(judge, ModelJudge):
                given: list[float] = list(judge.all(pairs, self.batch_size))
            else:
                given = [judge(prompt, text) for prompt, text in pairs]
            rate = all(isinstance(verdict, bool) for verdict in given)
            told[title] = ("rate" if rate else "judged", [float(verdict) for verdict in given])
        return told

    def _reasoned(self, said: Sequence[Spoken]) -> Values:
        """The same of the reasoning, which none of the others looks at."""
        texts = [s.reasoning or "" for s in said]
        rows = [self.model.tokenizer.encode_verbatim(text) for text in texts]
        loops = [bool(row) and degenerate(text, row) for text, row in zip(texts, rows, strict=True)]
        told: Values = {
            "repeating reasoning": ("rate", [float(loop) for loop in loops]),
            "length of the reasoning": ("tokens", [float(len(row)) for row in rows]),
        }
        if self.detector is not None:
            found = [float(self.detector(text)) for text in texts]
            told["refusal in the reasoning"] = ("rate", found)
        return told

    def outcome(self, edit: Edit | Steering | None, limit: int | None = None) -> Outcome:
        """The behaviour under an edit in trial, steered, or as it is, on `limit` of each class."""
        with torch.no_grad():
            if edit is None:
                return self._measured(limit)
            with in_force(self.model, edit):
                return self._measured(limit)

    def _measured(self, limit: int | None) -> Outcome:
        result = self._behaviour({name: p[:limit] for name, p in self.classes.items()}, speak=False)
        edited = {
            name: answer_residuals(self.model, pairs[:limit], self.batch_size)
            for name, pairs in self.pairs.items()
        }
        self._compare(result, edited, limit)
        return result

    def _compare(
        self, result: Outcome, edited: Mapping[str, list[torch.Tensor]], limit: int | None
    ) -> None:
        """Add how far the words on the answers lie from the unedited model's."""
        for name, residuals in edited.items():
            base, pairs = self.base_residuals[name][:limit], self.pairs[name][:limit]
            answers = [answer for _, answer in pairs]
            found = divergences(self.model, base, residuals, answers)
            if self.thinks:
                found |= self._parted(base, residuals, answers)
            result.values |= {f"{title}, {name}": values for title, values in found.items()}

    def _parted(
        self,
        base: Sequence[torch.Tensor],
        edited: Sequence[torch.Tensor],
        answers: Sequence[Sequence[int]],
    ) -> Values:
        """The divergence of reasoning and of answer, of those that have both."""
        marks = mark_ids(self.model.tokenizer)
        told: Values = {}
        ends = [max((i + 1 for i, t in enumerate(ids) if t in marks), default=0) for ids in answers]
        rows = [i for i, end in enumerate(ends) if 0 < end < len(answers[i])]
        for part, where in (
            ("reasoning", [slice(ends[i]) for i in rows]),
            ("answer", [slice(ends[i], None) for i in rows]),
        ):
            pieces = list(zip(rows, where, strict=True))
            left, right = ([one[i][cut] for i, cut in pieces] for one in (base, edited))
            found = divergences(self.model, left, right, [answers[i][cut] for i, cut in pieces])
            told |= {f"KL(base‖edited) of the {part}": found["KL(base‖edited)"]} if found else {}
        return told


def in_force(model: Model, change: Edit | Steering) -> AbstractContextManager[Model]:
    """Every run within is under an edit in trial, or steered."""
    from lenswright.steering import Steering

    return model.steered(change) if isinstance(change, Steering) else model.edited(change)
