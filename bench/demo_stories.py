"""Feelings in TinyStories-656K: edits that take as much of one, compared by what else they change.

Prompts are scenes of lenswright's shared data, each followed by `ENDING`; the score is the log-odds
of words of one feeling against words of the other. Every method's strength is set on the select
prompts so that its edit lowers the mean score of the positive ones by as much as the plain edit of
full strength does, times `PART`: at equal effect its harm is then read on the test prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import lenswright as lw
from lenswright.directions import TokenLogOdds
from lenswright.editing.balance import Trials
from lenswright.edits import Edit
from lenswright.measuring.probes import own_text_loss, text_loss
from lenswright.prompting.prompt_sets import PromptSet

ENDING = " You feel very"
WORDS = {
    "happiness": [" happy", " excited", " proud"],
    "sadness": [" sad", " sorry", " lonely"],
    "fear": [" scared", " afraid", " worried"],
    "anger": [" angry", " mad", " upset"],
}
CONCEPTS = (("happiness", "sadness"), ("fear", "happiness"), ("anger", "happiness"))
PART = 0.8
MOST = 4.0  # times the strength that a method is made with
HALVINGS = 12
BALANCES = (0.03, 0.3, 3.0)
BLOCKS = ["attention", "mlp"]

Made = Callable[[float], Edit]


def splits(folder: Path, positive: str, negative: str) -> lw.Splits:
    """Scenes of two feelings, each with the ending behind it."""

    def rows(name: str) -> list[str]:
        scenes = json.loads((folder / "contrast" / f"{name}.json").read_text(encoding="utf-8"))
        return [scene + ENDING for scene in dict.fromkeys(scenes)]

    return lw.Splits.from_rows(rows(positive), rows(negative), seed=0)


def methods(model: lw.Model, parts: lw.Splits) -> dict[str, Made]:
    """Edits by name, as functions of their strength."""
    stats = model.collect(
        parts.fit, positions="last", what=("mean", "variance", "covariance"), progress=False
    )
    found = lw.directions.difference_of_means(stats)
    rows = [row for row in found.table() if row["layer"]]
    best = max(rows, key=lambda row: row["separation"])
    point, offset = best["point"], best["offset"]
    one = found.only(point, offset)
    mean = stats.mean("negative", point)[0]
    erasure = lw.directions.leace(stats, "shrinkage").erasure(point, offset)

    def ablated(method: str, writers: str | list[str] = "all", **more: Any) -> Made:
        def of(strength: float) -> Edit:
            return lw.edits.ablate(model, one, method, writers, strength, **more)

        return of

    made = {
        "plain": ablated("plain"),
        "plain, blocks": ablated("plain", BLOCKS),
        "plain, attention": ablated("plain", ["attention"]),
        "plain, MLPs": ablated("plain", ["mlp"]),
        "projected": ablated("projected", against=mean),
        "projected, blocks": ablated("projected", BLOCKS, against=mean),
        "write_norm, blocks": ablated("write_norm", BLOCKS),
        "row_norm, blocks": ablated("row_norm", BLOCKS),
        "oblique (LEACE)": lambda s: lw.edits.ablate(
            model, erasure.write, "oblique", BLOCKS, s, read=erasure.read
        ),
    }
    for balance in BALANCES:
        whole = lw.edits.condition(model, one, parts.fit, balance, positions="last", progress=False)
        made[f"conditioned, λ = {balance:g}"] = whole.__mul__
    return made


def matched(trials: Trials, make: Made, effect: float) -> tuple[float, Edit] | None:
    """The least strength whose edit lowers the score so far, and the edit; None: not by any."""

    def reached(strength: float) -> float:
        with trials.model.edited(make(strength)):
            return trials.unedited - trials._bypass()

    low, high = 0.0, 1.0
    while reached(high) < effect:
        low, high = high, 2 * high
        if high > MOST:
            return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < effect else (low, middle)
    return high, make(high)


def concept(model: lw.Model, folder: Path, positive: str, negative: str) -> dict[str, Any]:
    """Every method at equal effect on one pair of feelings."""
    parts = splits(folder, positive, negative)
    score = TokenLogOdds(WORDS[positive], WORDS[negative])
    chosen, test = (Trials(model, part, score, 128) for part in (parts.select, parts.test))
    made = methods(model, parts)
    with model.edited(made["plain"](1.0)):
        effect = PART * (chosen.unedited - chosen._bypass())
    probes = {"own": own_text_loss(model, parts.test, 64, 64), "text": text_loss(
        model, folder / "text" / "tinyshakespeare.txt", 4096)}  # fmt: skip
    before = {name: probe(model) for name, probe in probes.items()}
    rows: dict[str, Any] = {}
    for name, make in made.items():
        found = matched(chosen, make, effect)
        if found is None:
            rows[name] = None
            continue
        strength, edit = found
        row = test.row(edit)
        with model.edited(edit):
            after = {key: probe(model) - before[key] for key, probe in probes.items()}
        rows[name] = {"strength": strength, "effect": test.unedited - row["bypass"],
                      "kl": row["kl"], **after}  # fmt: skip
    return {"effect": effect, "apart": _apart(test, parts.test), "rows": rows}


def _apart(trials: Trials, prompts: PromptSet) -> float:
    """How much higher the unedited model's score is on positive prompts, nats."""
    from lenswright.selecting.scores import score_prompts

    scores = score_prompts(trials.model, trials.score, prompts.negative, trials.batch_size)
    return trials.unedited - sum(scores) / len(scores)


def measured(folder: Path) -> dict[str, Any]:
    """Every concept, by "positive / negative"."""
    model = lw.load(folder / "TinyStories-656K", dtype="float32")
    with torch.no_grad():
        return {f"{p} / {n}": concept(model, folder, p, n) for p, n in CONCEPTS}


def section(found: dict[str, Any], table: Callable[..., list[str]]) -> list[str]:
    """The part of the page."""
    lines = [
        "## A feeling in TinyStories-656K", "",
        "Scenes of two feelings, each followed by “You feel very”; the score is the log-odds of "
        "words of the one against words of the other. Every method's strength is set on select "
        "prompts so that the mean score of the first falls as far, by "
        f"{PART:.0%} of what the plain edit does at full strength. *KL*: of the next word behind "
        "scenes of the other feeling; *own text*: rise of the loss on the model's own "
        "continuations; *foreign text*: on Shakespeare. Nats; test prompts.", "",
    ]  # fmt: skip
    for name, one in found.items():
        lines += [f"{name}: unedited, the scores lie {one['apart']:.2f} apart; all are lowered by "
                  f"{one['effect']:.2f} on select prompts.", ""]  # fmt: skip
        rows = []
        for method, row in one["rows"].items():
            if row is None:
                rows.append([method, "does not get so far", "", "", "", ""])
                continue
            rows.append([method, f"{row['strength']:.2f}", f"{row['effect']:.2f}",
                         *(f"{row[key]:.5f}" for key in ("kl", "own", "text"))])  # fmt: skip
        head = ("method", "strength", "lowered by", "KL", "own text", "foreign text")
        lines += [*table(head, rows), _verdict(one["rows"]), ""]
    return lines


def _verdict(rows: dict[str, Any]) -> str:
    """The best conditioned edit against the best other one, measure by measure."""
    told = []
    for key, name in (("kl", "KL"), ("own", "own text"), ("text", "foreign text")):
        sides = [
            min((row[key], method) for method, row in rows.items()
                if row is not None and method.startswith("conditioned") == ours)
            for ours in (True, False)
        ]  # fmt: skip
        (ours, mine), (other, theirs) = sides
        verdict = f"ratio {other / ours:.2f}" if min(ours, other) > 0 else "no ratio"
        told.append(f"{name} {ours:.5f} (`{mine}`) against {other:.5f} (`{theirs}`), {verdict}")
    return "Best conditioned against best other: " + "; ".join(told) + "."
