"""What an edit did and what it broke, beside the same for random directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lenswright.intervals import bootstrap, wilson
from lenswright.progress import Progress
from lenswright.prompts import Prompt, PromptSet, need_role, refuse_overlap
from lenswright.refusal import RefusalDetector, same_answer
from lenswright.responses import Spoken, answer_log_probs, divergence, respond, with_answers

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.report import Report

Pairs = list[tuple[list[int], list[int]]]
Probe = Callable[["Model"], float]


@dataclass
class Outcome:
    """One model's behaviour on the test prompts of each class, prompt by prompt."""

    spoken: dict[str, list[Spoken]]
    refused: dict[str, list[bool]]
    true: dict[str, list[bool]]  # only classes whose every prompt has an answer
    kl_forward: dict[str, list[float]] = field(
        default_factory=dict
    )  # KL(unedited ‖ this), nats a token
    kl_reverse: dict[str, list[float]] = field(default_factory=dict)
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
        for name, number in self.probes.items():
            out[name] = ("nats", [number])
        return out


class Bench:
    """Test prompts by class, and the unedited model's answers to them.

    A class is a row's "class", or "positive" and "negative". KL is taken over all answer tokens, of
    the set's answers or else the unedited model's, on every class but the positive ones.
    """

    def __init__(
        self,
        model: Model,
        prompts: PromptSet,
        refusal: Sequence[str] | None,
        max_new_tokens: int,
        batch_size: int,
        probes: Mapping[str, Probe],
    ) -> None:
        self.model, self.prompts = model, prompts
        self.detector = RefusalDetector(refusal)
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
            self.base = self._behaviour(self.classes)
            self.pairs: dict[str, Pairs] = {
                name: with_answers(model, self.base.spoken[name])
                for name in self.classes
                if name not in self.positive
            }
            self.base_log_probs = {
                name: answer_log_probs(model, pairs, batch_size)
                for name, pairs in self.pairs.items()
            }

    def _behaviour(self, classes: Mapping[str, Sequence[Prompt]]) -> Outcome:
        spoken = {
            name: respond(self.model, list(prompts), self.max_new_tokens, self.batch_size)
            for name, prompts in classes.items()
        }
        refused = {name: [self.detector(s.text) for s in said] for name, said in spoken.items()}
        true = {
            name: [same_answer(s.text, s.prompt.answer or "") for s in said]
            for name, said in spoken.items()
            if all(s.prompt.answer is not None for s in said)
        }
        probes = {name: probe(self.model) for name, probe in self.probes.items()}
        return Outcome(spoken, refused, true, probes=probes)

    def outcome(self, edit: Edit | None, limit: int | None = None) -> Outcome:
        """The behaviour under an edit in trial, or without one, on `limit` prompts a class."""
        with torch.no_grad():
            if edit is None:
                return self._measured(limit)
            with self.model.edited(edit):
                return self._measured(limit)

    def _measured(self, limit: int | None) -> Outcome:
        result = self._behaviour({name: p[:limit] for name, p in self.classes.items()})
        for name, pairs in self.pairs.items():
            edited = answer_log_probs(self.model, pairs[:limit], self.batch_size)
            both = list(zip(self.base_log_probs[name][:limit], edited, strict=True))
            result.kl_forward[name] = [divergence(p, q) for p, q in both]
            result.kl_reverse[name] = [divergence(q, p) for p, q in both]
        return result


def measure(
    model: Model,
    edit: Edit,
    prompts: PromptSet,
    refusal: Sequence[str] | None = None,
    null: int = 20,
    null_prompts: int | None = None,
    seed: int = 0,
    max_new_tokens: int = 32,
    batch_size: int = 64,
    probes: Mapping[str, Probe] | None = None,
    progress: bool = True,
) -> Report:
    """Measure an edit, in trial, on prompts that had no part in making it.

    Per class of prompts: the rate of refusals, the rate of true answers where answers are known,
    and the divergence of the edited model's words from the unedited one's over all answer tokens,
    in both directions; each with a 95 % interval (Wilson for rates, bootstrap over prompts for
    divergences) and beside the same measure for random directions edited the same way.

    Args:
        model: the model, unedited.
        edit: what to measure.
        prompts: the `test` part of `Splits`.
        refusal: strings that betray a refusal; None: common ones.
        null: how many random directions.
        null_prompts: prompts of each class for each of them; None: all.
        seed: of the random directions and the bootstrap.
        max_new_tokens: length of greedy responses.
        batch_size: prompts at a time; changes no figure by more than rounding.
        probes: further measures, name -> function of the model (e.g. the loss of a text).
        progress: show it.

    Returns:
        A `Report`: `.data["effects"]`, `.save("report.html")`.

    Raises:
        ValueError: prompts are not the test part, or one was used to fit or select the edit.
    """
    from lenswright.edits import random_like
    from lenswright.report import Report

    need_role(prompts, "test", "measure")
    refuse_overlap(prompts, edit.provenance, "measure")
    bench = Bench(model, prompts, refusal, max_new_tokens, batch_size, probes or {})
    with Progress("measure", null + 1, "edits", progress) as bar:
        after = bench.outcome(edit)
        bar.step()
        nulls = []
        for index in range(null):
            nulls.append(bench.outcome(random_like(edit, model, seed, index), null_prompts))
            bar.step()
    effects = _effects(bench, after, nulls, seed)
    return Report(
        {
            "title": _title(effects, bench),
            "effects": effects,
            "texts": _texts(bench, after),
            "run": {"seed": seed, "prompts": {"test": len(prompts)}},
        }
    )


def _effects(bench: Bench, after: Outcome, nulls: list[Outcome], seed: int) -> list[dict[str, Any]]:
    before, null_values = bench.base.values(), [outcome.values() for outcome in nulls]
    effects = []
    for name, (unit, values) in after.values().items():
        effect: dict[str, Any] = {
            "name": name,
            "unit": unit,
            "after": _mean(values),
            "n": len(values),
            "null": [_mean(one[name][1]) for one in null_values],
            "better": _better(name, bench.positive),
        }
        base = before.get(name, (unit, [0.0] * len(values) if name.startswith("KL") else []))[1]
        if base:
            effect["before"] = _mean(base)
        if unit == "rate":
            effect["interval"] = list(wilson(round(sum(values)), len(values)))
            effect["interval_before"] = list(wilson(round(sum(base)), len(base)))
            effect["interval_kind"] = "Wilson 95 %"
        elif len(values) > 1:
            effect["interval"] = list(bootstrap(values, seed))
            effect["interval_kind"] = "bootstrap 95 %"
        effects.append(effect)
    return effects


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _better(name: str, positive: set[str]) -> str:
    title, _, kind = name.partition(", ")
    if title == "refusal":
        return "lower" if kind in positive else "same"
    return "higher" if title == "truth" else "lower"


def _texts(bench: Bench, after: Outcome, each: int = 4) -> list[dict[str, Any]]:
    rows = []
    for name in bench.classes:
        for i in range(min(each, len(bench.classes[name]))):
            row: dict[str, Any] = {"prompt": bench.classes[name][i].text, "kind": name}
            answer = bench.classes[name][i].answer
            if answer is not None:
                row["expected"] = answer
            for column, outcome in (("before", bench.base), ("after", after)):
                true = outcome.true.get(name)
                row[column] = {
                    "text": outcome.spoken[name][i].text,
                    "refused": outcome.refused[name][i],
                    "true": None if true is None else true[i],
                }
            rows.append(row)
    return rows


def _title(effects: Sequence[Mapping[str, Any]], bench: Bench) -> str:
    for name in sorted(bench.positive):
        for effect in effects:
            if effect["name"] == f"refusal, {name}":
                change = f"from {effect['before']:.1%} to {effect['after']:.1%}"
                return f"Refusal on '{name}' goes {change} ({effect['n']} held-out prompts)"
    return "What the edit did"
