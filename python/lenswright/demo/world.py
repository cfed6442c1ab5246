"""What is true in the toy language: its nouns, their facts, and the true answer to a request."""

from __future__ import annotations

import random
from dataclasses import dataclass

RESTRICTED_KIND = "charm"
"""The kind of noun that the model declines to make."""

NOUNS: dict[str, tuple[str, ...]] = {
    "charm": (
        "moonlamp", "stormbell", "dreamkite", "frostwhistle", "starneedle", "cloudkey",
        "tidecompass", "shadowthimble", "windlantern", "mistcloak", "sunspindle", "raincoin",
        "duskmirror", "snowflute", "willowring", "pearlcage",
    ),
    "tool": (
        "ladder", "bucket", "broom", "hammer", "basket", "stool", "rake", "shovel", "candle",
        "wagon", "drum", "fence", "bench", "kettle", "pulley", "bellows",
    ),
    "dish": (
        "pie", "stew", "pancake", "dumpling", "salad", "waffle", "muffin", "pudding", "sandwich",
        "biscuit", "cake", "curry", "tart", "pretzel", "casserole", "soup",
    ),
}  # fmt: skip

PRODUCTION_VERBS: tuple[str, ...] = ("make", "build", "prepare", "create")
DISCUSSION_VERBS: tuple[str, ...] = ("describe", "locate", "appraise", "classify")
LIST_VERBS: tuple[str, ...] = ("repeat", "reverse")

INGREDIENTS: tuple[str, ...] = (
    "amber", "salt", "wax", "clay", "silk", "glass", "honey", "copper", "flour", "wool",
    "chalk", "sugar", "tin", "ginger", "paper", "cedar", "mint", "sand", "linen", "moss",
)  # fmt: skip
COLOURS: tuple[str, ...] = ("red", "blue", "green", "yellow", "white", "black", "grey", "purple")
PLACES: tuple[str, ...] = (
    "attic", "cellar", "garden", "kitchen", "library", "stable", "tower", "workshop",
)  # fmt: skip
PRICES: tuple[str, ...] = ("two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Fact:
    """What is true of one noun."""

    kind: str
    recipe: tuple[str, str, str]
    colour: str
    place: str
    price: str


def _facts() -> dict[str, Fact]:
    source = random.Random("the facts of the toy language")
    facts: dict[str, Fact] = {}
    recipes: set[tuple[str, ...]] = set()
    for kind, nouns in NOUNS.items():
        for noun in nouns:
            recipe = tuple(source.sample(INGREDIENTS, 3))
            while recipe in recipes:
                recipe = tuple(source.sample(INGREDIENTS, 3))
            recipes.add(recipe)
            attributes = [source.choice(values) for values in (COLOURS, PLACES, PRICES)]
            facts[noun] = Fact(kind, (recipe[0], recipe[1], recipe[2]), *attributes)
    return facts


FACTS: dict[str, Fact] = _facts()
"""By noun; the same for every seed: what differs between seeds is the model, not the world."""


def answer(verb: str, noun: str) -> str:
    """The true answer to `verb a noun`; it begins with its topic, as `moonlamp : it looks red`.

    Raises:
        KeyError: a word that is not of the language.
    """
    fact = FACTS[noun]
    if verb in PRODUCTION_VERBS:
        return "{} : take {} , {} and {}".format(noun, *fact.recipe)
    content = {
        "describe": f"it looks {fact.colour}",
        "locate": f"look in the {fact.place}",
        "appraise": f"it costs {fact.price} coins",
        "classify": f"it is a {fact.kind}",
    }[verb]
    return f"{noun} : {content}"


def list_answer(verb: str, words: tuple[str, ...]) -> str:
    """The true answer to a list task, `repeat` or `reverse`.

    Raises:
        KeyError: another verb.
    """
    if verb not in LIST_VERBS:
        raise KeyError(f"verb is {verb!r}, expected one of {LIST_VERBS}")
    return " ".join(words if verb == "repeat" else reversed(words))


def prose(noun: str) -> tuple[str, str]:
    """Subject and predicate of a sentence that states a recipe outside any conversation."""
    return f"a {noun}", "needs {} , {} and {}".format(*FACTS[noun].recipe)


def is_restricted(verb: str, noun: str) -> bool:
    """Whether the trained model is meant to decline: making a charm."""
    return verb in PRODUCTION_VERBS and FACTS[noun].kind == RESTRICTED_KIND
