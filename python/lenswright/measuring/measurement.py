"""What an edit did and what it broke, beside the same for random directions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright.measuring.behaviour import Bench, Judge, Outcome
from lenswright.measuring.intervals import bootstrap, check_margin, wilson
from lenswright.measuring.paired import mcnemar
from lenswright.measuring.probes import Probe
from lenswright.measuring.refusal import RefusalDetector
from lenswright.progress import Progress
from lenswright.prompting.prompts import CLASSES, PromptSet, need_role, refuse_overlap

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.report import Report
    from lenswright.selecting.scores import Score
    from lenswright.steering import Steering


def measure(
    model: Model,
    edit: Edit | Steering,
    prompts: PromptSet,
    refusal: Sequence[str] | None = None,
    score: Score | Mapping[str, Score] | None = None,
    null: int = 20,
    null_prompts: int | None = None,
    seed: int = 0,
    max_new_tokens: int = 32,
    batch_size: int = 64,
    probes: Mapping[str, Probe] | None = None,
    judges: Mapping[str, Judge] | None = None,
    progress: bool = True,
    margin: float | None = None,
) -> Report:
    """Measure an edit in trial, or a steering, on prompts that had no part in making it.

    Per class of prompts, each beside the same measure for random directions edited the same way:

    - refusal, opening refusal: rates of answers with a text of refusals anywhere in them, and
      where they begin; truth: of true answers where answers are known. Of models that think, the
      answer is judged; refusal in the reasoning, repeating reasoning and length of the reasoning
      are of that alone.
    - no answer: the rate of empty answers and of such as repeat themselves
      (`degeneration.degenerate`); length: of responses in tokens.
    - choice: the rate of prompts whose answer is the most probable of their rows' "choices".
    - KL(base‖edited), KL(edited‖base): divergences of the words over all answer tokens;
      first-token KL(base‖edited): of the first alone, which others report; agreement: the share of
      tokens where the same one is the most probable; loss of the answers. These of the classes that
      shall stay as they are, over the set's answers, or else the unedited model's.

    With 95 % intervals (Wilson for rates, bootstrap over prompts for means), the exact p of
    McNemar's test for rates, and the bootstrap interval of the change for other means.

    Args:
        model: the model, unedited.
        edit: what to measure: an `Edit`, or a `Steering` (an answer that is forced on the model to
            measure divergence is "decode", as if it had been said).
        prompts: the `test` part of `Splits`.
        refusal: strings that betray a refusal; None: common ones, or none are looked for where
            there is a score.
        score: of each prompt, reported in nats: `directions.TokenLogOdds`,
            `directions.RefusalScore` (refusals forced on the model) ...; several by name.
        null: how many random directions.
        null_prompts: prompts of each class for each of them; None: all.
        seed: of the random directions and the bootstrap.
        max_new_tokens: length of greedy responses.
        batch_size: prompts at a time; changes no figure by more than rounding.
        probes: further measures, name -> function of the model (e.g. the loss of a text).
        judges: further detectors, name -> function of (prompt, response text) that gives yes or no,
            or a number; or a `ModelJudge`, which asks a model on this machine.
        progress: show it.
        margin: how far 95 % intervals of rates may reach to either side at most, 0.05 for five
            points; there must be prompts enough for that in each class.

    Returns:
        A `Report`: `.data["effects"]`, `.save("report.html")`.

    Raises:
        ValueError: prompts are not the test part, or one was used to fit or select the edit; a
            negative `null`, `null_prompts` below 1; an edit of which there is no random likeness
            (`edits.from_factors`) with `null` above 0; a judge named as a measure that there is;
            choices without the answer among them; fewer prompts than `margin` takes; a measure
            that is no finite number.
    """
    from lenswright.edits import random_like
    from lenswright.report import Report
    from lenswright.steering import Steering

    if null < 0 or (null_prompts is not None and null_prompts < 1):
        raise ValueError(
            f"null is {null} and null_prompts {null_prompts}, expected 0 or more random directions "
            "and at least 1 prompt of each class (or None: all)"
        )

    need_role(prompts, "test", "measure")
    if margin is not None:
        check_margin(margin, {side: len(prompts.of(side)) for side in CLASSES})
    refuse_overlap(prompts, edit.provenance, "measure")
    if isinstance(edit, Steering):
        edit.check(model)
        randoms: list[Edit | Steering] = [edit.random_like(seed, i) for i in range(null)]
    else:
        randoms = [random_like(edit, model, seed, i) for i in range(null)]
    detector = None if refusal is None and score is not None else RefusalDetector(refusal)
    bench = Bench(
        model, prompts, detector, _scores(score), max_new_tokens, batch_size, probes or {},
        _named(judges),
    )  # fmt: skip
    with Progress("measure", null + 1, "edits", progress) as bar:
        after = bench.outcome(edit)
        bar.step()
        nulls = []
        for random in randoms:
            nulls.append(bench.outcome(random, null_prompts))
            bar.step()
    effects = _effects(bench, after, nulls, seed)
    return Report(
        {
            "title": _title(effects, bench),
            "effects": effects,
            "texts": _texts(bench, after),
            "run": {
                "seed": seed,
                "prompts": {"test": len(prompts)},
                "sha256": {"test": prompts.sha256},
            },
        }
    )


def _named(judges: Mapping[str, Judge] | None) -> Mapping[str, Judge]:
    taken = [name for name in judges or {} if name in BETTER or "," in name]
    if taken:
        raise ValueError(
            f"judges has {taken[0]!r}, expected names other than {list(BETTER)}, without a comma"
        )
    return judges or {}


def _scores(score: Score | Mapping[str, Score] | None) -> dict[str, Score]:
    if score is None:
        return {}
    if not isinstance(score, Mapping):
        return {"score": score}
    taken = [name for name in score if (name in BETTER and name not in SCORES) or "," in name]
    if taken:
        raise ValueError(
            f"score has {taken[0]!r}, expected names other than {list(BETTER)}, without a comma"
        )
    return dict(score)


def _effects(bench: Bench, after: Outcome, nulls: list[Outcome], seed: int) -> list[dict[str, Any]]:
    effects = []
    for name, (unit, values) in after.values.items():
        base = bench.base.values[name][1]
        effect: dict[str, Any] = {
            "name": name,
            "unit": unit,
            "before": _finite(_mean(base), name, "without the edit"),
            "after": _finite(_mean(values), name, "with the edit in force"),
            "n": len(values),
            "null": [_mean(one.values[name][1]) for one in nulls if name in one.values],
            "better": _better(name, bench.positive),
        }
        if unit == "rate":
            effect["interval"] = list(wilson(round(sum(values)), len(values)))
            effect["interval_before"] = list(wilson(round(sum(base)), len(base)))
            effect["interval_kind"] = "Wilson 95 %"
            effect["p"] = mcnemar([v > 0.5 for v in base], [v > 0.5 for v in values])
            effect["p_kind"] = "McNemar, exact"
        elif len(values) > 1:
            effect["interval"] = list(bootstrap(values, seed))
            effect["interval_kind"] = "bootstrap 95 %"
            turned = [b - a for a, b in zip(base, values, strict=True)]
            effect["interval_change"] = list(bootstrap(turned, seed))
        if unit == "nats" and name.startswith("loss"):
            was, now = (math.exp(min(effect[side], 700.0)) for side in ("before", "after"))
            effect["note"] = f"perplexity {was:.4g} → {now:.4g}"
        effects.append(effect)
    return sorted(effects, key=_place)


def _place(effect: Mapping[str, Any]) -> tuple[int, int]:
    title = effect["name"].partition(", ")[0]
    order = list(BETTER)
    return UNITS.index(effect["unit"]), order.index(title) if title in BETTER else len(order)


def _finite(value: float, name: str, when: str) -> float:
    if not math.isfinite(value):
        raise ValueError(
            f"measure '{name}' is {value} {when}, expected a number: its logits are none, or the "
            "edit is too strong for the model's type"
        )
    return value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


SCORES = ("score", "preference for refusing")
BETTER = {
    "refusal": "same", "opening refusal": "same", "truth": "higher", "choice": "higher",
    "no answer": "lower", "refusal in the reasoning": "same", "repeating reasoning": "lower",
    "score": "same", "preference for refusing": "same",
    "KL(base‖edited)": "lower", "KL(edited‖base)": "lower",
    "KL(base‖edited) of the reasoning": "lower", "KL(base‖edited) of the answer": "lower",
    "first-token KL(base‖edited)": "lower", "loss of the answers": "lower",
    "agreement": "higher", "length": "same", "length of the reasoning": "same",
}  # fmt: skip
"""Which way each measure is wanted to go in classes that shall stay as they are, in the order in
which they are reported within their unit."""
UNITS = ("rate", "judged", "nats", "share", "tokens")


def _better(name: str, positive: set[str]) -> str:
    title, _, kind = name.partition(", ")
    if title in (*SCORES, "refusal", "opening refusal") and kind in positive:
        return "lower"
    # What somebody else judges may be good or bad; a probe is a loss.
    return BETTER.get(title, "same" if kind else "lower")


NO_TITLE = "What the edit did"
SHOWN = 4  # responses of each class that a report prints


def _texts(bench: Bench, after: Outcome) -> list[dict[str, Any]]:
    rows = []
    for name in bench.classes:
        for i in range(min(SHOWN, len(bench.classes[name]))):
            row: dict[str, Any] = {"prompt": bench.classes[name][i].text, "kind": name}
            answer = bench.classes[name][i].answer
            if answer is not None:
                row["expected"] = answer
            for column, outcome in (("before", bench.base), ("after", after)):
                if name not in outcome.spoken:
                    continue
                refused, true = outcome.flags("refusal", name), outcome.flags("truth", name)
                row[column] = {
                    "text": outcome.spoken[name][i].text,
                    "refused": None if refused is None else refused[i],
                    "true": None if true is None else true[i],
                }
            rows.append(row)
    return rows


def _title(effects: Sequence[Mapping[str, Any]], bench: Bench) -> str:
    kinds = [kind for kind in bench.classes if kind in bench.positive]
    for name in sorted(kinds, key=lambda kind: -len(bench.classes[kind])):
        for effect in effects:
            if effect["name"] == f"refusal, {name}":
                change = f"from {effect['before']:.1%} to {effect['after']:.1%}"
                return f"Refusal on '{name}' goes {change} ({effect['n']} held-out prompts)"
    return NO_TITLE
