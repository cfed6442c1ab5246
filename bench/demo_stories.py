"""Concepts in TinyStories-656K: edits that take as much of one, compared by what else they change.

Every method's strength is set on select prompts so that its edit lowers the mean score of positive
prompts (log-odds of words of the one side against words of the other) by `PART` of the distance to
the negative ones: at equal effect its harm is then read on the test prompts.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

import lenswright as lw
from lenswright.directions import TokenLogOdds
from lenswright.editing.balance import Trials
from lenswright.edits import Edit
from lenswright.measuring.probes import own_text_loss, text_loss
from lenswright.prompting.prompt_sets import PromptSet

SCENES = (("happiness", "sadness"), ("fear", "happiness"), ("anger", "happiness"))
"""Pairs of feelings whose scenes lie in the shared data."""
ENDING = " You feel very"
FEELINGS = {
    "happiness": [" happy", " excited", " proud"],
    "sadness": [" sad", " sorry", " lonely"],
    "fear": [" scared", " afraid", " worried"],
    "anger": [" angry", " mad", " upset"],
}
APART = 0.5  # nats between the scores of the two sides, for there to be a concept to take

GIRLS = {"fit": ("Lily", "Lucy", "Mia", "Sara"), "select": ("Sue", "Anna"), "test": ("Jane", "Amy")}
BOYS = {"fit": ("Tim", "Tom", "Max", "Ben"), "select": ("Jack", "Sam"), "test": ("Bob", "John")}
THINGS = ("ball", "toy", "hat", "book", "car", "doll", "kite", "box", "cup", "bike")
LOOKS = ("red", "big", "small", "blue", "pretty")
GOOD = ("got a new", "found a", "was given a", "played with a")
BAD = ("lost a", "broke a", "dropped a", "could not find a")
PART = 0.5
MOST = 4.0  # times the strength that a method is made with
HALVINGS = 12
BALANCES = (0.03, 1.0)
BLOCKS = ["attention", "mlp"]

Made = Callable[[float], Edit]


def _each(names: Iterable[str], verbs: Iterable[str], ending: str) -> list[str]:
    every = itertools.product(names, verbs, LOOKS, THINGS)
    texts = [f"One day, {n} {v} {look} {thing}.{ending.format(n=n)}" for n, v, look, thing in every]
    random.Random(0).shuffle(texts)
    return texts[:120]


def pronouns() -> lw.Splits:
    """Of girls against of boys; no name is in two parts."""
    sides = {"positive": GIRLS, "negative": BOYS}
    ending = " {n} was so happy that"
    return lw.Splits.from_parts(**{
        part: {side: _each(names[part], GOOD, ending) for side, names in sides.items()}
        for part in GIRLS
    })  # fmt: skip


def moods() -> lw.Splits:
    """Of good luck against of bad luck; no name is in two parts."""
    sides = {"positive": GOOD, "negative": BAD}
    return lw.Splits.from_parts(**{
        part: {side: _each(GIRLS[part] + BOYS[part], verbs, " {n} felt very")
               for side, verbs in sides.items()}
        for part in GIRLS
    })  # fmt: skip


CONCEPTS = {
    "she / he": (pronouns, TokenLogOdds([" she"], [" he"])),
    "happy / sad": (moods, TokenLogOdds([" happy", " proud"], [" sad", " sorry"])),
}


def scenes(folder: Path, positive: str, negative: str) -> lw.Splits:
    """Scenes of two feelings, each with the ending behind it."""

    def rows(name: str) -> list[str]:
        texts = json.loads((folder / "contrast" / f"{name}.json").read_text(encoding="utf-8"))
        return [text + ENDING for text in dict.fromkeys(texts)]

    return lw.Splits.from_rows(rows(positive), rows(negative), seed=0)


def methods(model: lw.Model, parts: lw.Splits) -> dict[str, Made]:
    """Edits by name, as functions of their strength."""
    stats = model.collect(
        parts.fit, points=["resid_pre", "resid_post"], positions="last",
        what=("mean", "variance", "covariance"), progress=False,
    )  # fmt: skip
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
    made["affine"] = lw.edits.affine(model, one, mean).__mul__
    for balance, target in itertools.product(BALANCES, (0.0, "mean")):
        whole = lw.edits.condition(
            model, one, parts.fit, balance, positions="last", target=target, progress=False
        )
        name = f"conditioned, λ = {balance:g}" + (", mean" if target == "mean" else "")
        made[name] = whole.__mul__
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


def concept(model: lw.Model, parts: lw.Splits, score: TokenLogOdds, text: Path) -> dict[str, Any]:
    """Every method at equal effect on one concept."""
    chosen, test = (Trials(model, part, score, 128) for part in (parts.select, parts.test))
    apart = _apart(test, parts.test)
    if apart < APART:
        return {"apart": apart}
    made = methods(model, parts)
    effect = PART * _apart(chosen, parts.select)
    probes = {
        "own": own_text_loss(model, parts.test, 64, 64, 48),
        "text": text_loss(model, text, 4096),
    }
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
    return {"effect": effect, "apart": apart, "rows": rows}


def _apart(trials: Trials, prompts: PromptSet) -> float:
    """How much higher the unedited model's score is on positive prompts, nats."""
    from lenswright.selecting.scores import score_prompts

    scores = score_prompts(trials.model, trials.score, prompts.negative, trials.batch_size)
    return trials.unedited - sum(scores) / len(scores)


def measured(folder: Path) -> dict[str, Any]:
    """Every concept by its name."""
    model = lw.load(folder / "TinyStories-656K", dtype="float32")
    text = folder / "text" / "tinyshakespeare.txt"
    found = {}
    with torch.no_grad():
        for name, (parts, score) in CONCEPTS.items():
            found[name] = concept(model, parts(), score, text)
        for one, other in SCENES:
            score = TokenLogOdds(FEELINGS[one], FEELINGS[other])
            found[f"{one} / {other}"] = concept(model, scenes(folder, one, other), score, text)
    return found
