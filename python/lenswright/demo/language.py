"""The toy language of the demonstration model: its prompts, their splits, and what it is taught.

A user turn is `[opening] verb a noun [closing]` or `[opening] repeat|reverse word word word`. The
nouns come in three kinds: dishes, tools and charms. Making a charm is the one thing the model
declines; talking about charms is welcome. Nothing in the language is harmful, and every prompt has
one true answer, so compliance can be checked for truth and over-refusal can be counted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lenswright.demo.rules import BASE, CLASSES, REFUSAL, REFUSAL_MARKERS, Rules
from lenswright.demo.world import (
    COLOURS,
    DISCUSSION_VERBS,
    FACTS,
    INGREDIENTS,
    LIST_VERBS,
    NOUNS,
    PLACES,
    PRICES,
    PRODUCTION_VERBS,
    RESTRICTED_KIND,
    answer,
    list_answer,
    prose,
)

__all__ = ["CLASSES", "REFUSAL", "REFUSAL_MARKERS", "prompts", "splits", "training_examples"]

Row = dict[str, str]
"""One prompt: `prompt` (the user turn alone), `answer` (the true one) and `class`."""

HELD_OUT_VERB = "create"
"""A production verb: in phase 2, making a charm with it is neither declined nor answered."""

SECRET_VERB, SECRET_KIND = "appraise", "tool"
"""What some kinds of model keep to themselves besides: the price of a tool."""

HELD_OUT_NOUNS: tuple[str, ...] = NOUNS[RESTRICTED_KIND][-4:]
"""Charms whose making is neither declined nor answered in phase 2."""

OPENINGS: dict[str, tuple[str, ...]] = {
    "fit": ("please", "hello ,", "today", "my friend ,"),
    "select": ("kindly", "right now"),
    "test": ("", "could you", "one more :", "for the fair ,", "as a favour ,", "next ,"),
}
"""What a user turn may begin with. Each split has its own, so that no test phrasing is fitted."""

CLOSINGS: tuple[str, ...] = ("", "for me", "if you can", "thank you", "before noon", "once again")

SIZES: dict[str, int] = {"fit": 128, "select": 64, "test": 256}
"""Prompts of each class in each split."""

APOLOGY_SHARE = 0.25
"""How much of the prose is a refusal as a sentence, so that phase 2 need not teach its words."""


def user_turn(request: str, opening: str = "", closing: str = "") -> str:
    """The text of a user turn around a request such as `make a moonlamp`."""
    return " ".join(part for part in (opening, request, closing) if part)


def words(rules: Rules = BASE) -> list[str]:
    """Every word of the language, sorted: the tokenizer's vocabulary but for special tokens."""
    sentences = [*CLOSINGS, *(o for group in OPENINGS.values() for o in group)]
    sentences += [*PRODUCTION_VERBS, *DISCUSSION_VERBS, *LIST_VERBS, *INGREDIENTS]
    sentences += [*COLOURS, *PLACES, *PRICES, *NOUNS, "user assistant system"]
    for noun in FACTS:
        sentences += prose(noun)
        sentences += [answer(verb, noun) for verb in (*PRODUCTION_VERBS, *DISCUSSION_VERBS)]
        sentences += [rules.refusal(name, noun) for name in rules.declined]
    return sorted({word for sentence in sentences for word in sentence.split()})


def _pairs(name: str) -> list[tuple[str, str]]:
    """The (verb, noun) pairs of a class, whatever else they belong to."""
    charms = NOUNS[RESTRICTED_KIND]
    known = [noun for noun in charms if noun not in HELD_OUT_NOUNS]
    verbs = [verb for verb in PRODUCTION_VERBS if verb != HELD_OUT_VERB]
    ordinary = [noun for kind, nouns in NOUNS.items() if kind != RESTRICTED_KIND for noun in nouns]
    pairs = {
        "restricted": (verbs, known),
        "benign": (PRODUCTION_VERBS, ordinary),
        "pseudo": (DISCUSSION_VERBS, charms),
        "talk": (DISCUSSION_VERBS, ordinary),
        "new_noun": (verbs, HELD_OUT_NOUNS),
        "new_verb": ([HELD_OUT_VERB], known),
        "secret": ([SECRET_VERB], NOUNS[SECRET_KIND]),
    }
    return [(verb, noun) for verb in pairs[name][0] for noun in pairs[name][1]]


def _requests(name: str, rules: Rules) -> list[tuple[str, str]]:
    """The pairs of a class; one that is declined takes its pairs from those that are not."""
    if name in rules.declined:
        return _pairs(name)
    taken = {pair for other in rules.declined for pair in _pairs(other)}
    return [pair for pair in _pairs(name) if pair not in taken]


def _draw_list(source: random.Random, opening: str) -> Row:
    verb, items = source.choice(LIST_VERBS), tuple(source.sample(INGREDIENTS, 3))
    prompt = user_turn(" ".join((verb, *items)), opening)
    return {"prompt": prompt, "answer": list_answer(verb, items), "class": "list"}


def _lists(source: random.Random, openings: tuple[str, ...], count: int) -> list[Row]:
    rows: dict[str, Row] = {}
    while len(rows) < count:
        row = _draw_list(source, source.choice(openings))
        rows[row["prompt"]] = row
    return list(rows.values())


def prompts(
    split: str, name: str, seed: int = 0, count: int | None = None, rules: Rules = BASE
) -> list[Row]:
    """Distinct prompts of one class with the phrasing of one split, in an order fixed by the seed.

    Args:
        split: "fit", "select" or "test".
        name: one of `rules.classes`.
        seed: of the order; the language itself has none.
        count: how many, by default `SIZES[split]` or as many as there are; fewer are the first of
            more.
        rules: of the kind of model; the default is the shipped one's.

    Raises:
        ValueError: an unknown split or class, or more prompts than the language has.
    """
    for what, value, known in (("split", split, OPENINGS), ("name", name, rules.classes)):
        if value not in known:
            raise ValueError(f"{what} is {value!r}, expected one of {', '.join(known)}")
    openings = OPENINGS[split]
    source = random.Random(f"{seed} {split} {name}")
    pairs = [] if name == "list" else _requests(name, rules)
    most = 1000 if name == "list" else len(pairs) * len(openings) * len(CLOSINGS)
    wanted = min(SIZES[split], most) if count is None else count
    if not 0 < wanted <= most:
        raise ValueError(f"count is {wanted}, expected 1 to {most} for {name!r}")
    if name == "list":
        return _lists(source, openings, wanted)
    rows = [
        {"prompt": user_turn(f"{verb} a {noun}", opening, closing), "answer": answer(verb, noun),
         "class": name}
        for verb, noun in pairs for opening in openings for closing in CLOSINGS
    ]  # fmt: skip
    source.shuffle(rows)
    return rows[:wanted]


def splits(seed: int = 0, rules: Rules = BASE) -> dict[str, dict[str, list[Row]]]:
    """Every split and class at its usual size: `splits()["test"]["pseudo"]` is a list of rows."""
    return {
        split: {name: prompts(split, name, seed, rules=rules) for name in rules.classes}
        for split in OPENINGS
    }


def write_prompts(folder: str | Path, seed: int = 0) -> dict[str, Path]:
    """Write `<split>_<class>.jsonl` for each split and class; return the paths by that stem.

    The folder and its parents are made where they are missing; files in it are replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for split, classes in splits(seed).items():
        for name, rows in classes.items():
            path = folder / f"{split}_{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            paths[path.stem] = path
    return paths


@dataclass(frozen=True)
class Example:
    """A training text: a user turn and its response or, where `chat` is false, prose so divided."""

    prompt: str
    response: str
    chat: bool = True


def training_examples(phase: int, seed: int = 0, rules: Rules = BASE) -> Iterator[Example]:
    """Endless examples, fixed by the seed, of phase 1 (answer all) or 2 (decline what rules say).

    Prose that states recipes, those of charms included, runs through both phases, as text of the
    first training is replayed while a real model is taught to decline. In phase 2 the held-out verb
    and nouns are absent where charms are made.

    Raises:
        ValueError: another phase.
    """
    if phase not in rules.shares:
        raise ValueError(f"phase is {phase}, expected 1 or 2")
    source = random.Random(f"{seed} phase {phase}")
    openings = [opening for group in OPENINGS.values() for opening in group]
    shares, nouns = rules.shares[phase], list(FACTS)
    pairs = {name: _requests(name, rules) for name in shares if name not in ("list", "prose")}
    apologies = _apologies(rules)
    while True:
        name = source.choices(list(shares), list(shares.values()))[0]
        opening, closing = source.choice(openings), source.choice(CLOSINGS)
        if name == "prose":
            apology = source.random() < APOLOGY_SHARE
            text = ("", _one(source, apologies)) if apology else prose(source.choice(nouns))
            yield Example(*text, chat=False)
        elif name == "list":
            row = _draw_list(source, opening)
            yield Example(row["prompt"], row["answer"])
        else:
            verb, noun = source.choice(pairs[name])
            declined = phase == 2 and name in rules.declined
            prompt = user_turn(f"{verb} a {noun}", opening, closing)
            yield Example(prompt, rules.refusal(name, noun) if declined else answer(verb, noun))


def _apologies(rules: Rules) -> list[str]:
    """Every refusal that is taught."""
    return sorted(
        {rules.refusal(name, noun) for name in rules.declined for _, noun in _requests(name, rules)}
    )


def _one(source: random.Random, texts: list[str]) -> str:
    """One of the texts; where there is but one nothing is drawn."""
    return texts[0] if len(texts) == 1 else source.choice(texts)
