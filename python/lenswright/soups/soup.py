"""`lw.soup`: averages of models, chosen by a held-out set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright.soups.held_out import Source
from lenswright.soups.kitchen import Kitchen, Say, average
from lenswright.soups.learning import learned
from lenswright.soups.result import Soup

if TYPE_CHECKING:
    pass

METHODS = ("uniform", "greedy", "learned")
Models = Sequence[str | os.PathLike[str]] | Mapping[str, Any]


def soup(
    models: Models,
    held_out: Source,
    method: str = "greedy",
    *,
    base: str | os.PathLike[str] | None = None,
    per: str = "model",
    steps: int = 30,
    rate: float = 0.1,
    test: Source | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    say: Say | None = None,
) -> Soup:
    """Average models; a held-out set says which, or how much of each.

    Args:
        models: folders or hub ids of one architecture, or models in memory by name.
        held_out: what candidates are judged on, the less the better: texts, prompts with answers, a
            file of either (see `HeldOut.of`), or a function of a model. None of it trained on.
        method: "uniform", all of them; "greedy", from the best on, each that makes the average so
            far strictly better (Wortsman et al. 2022, arXiv:2203.05482, algorithm 1); "learned",
            coefficients by gradient, from the uniform soup on.
        base: of "learned": coefficients are of what each model adds to this one, and free, instead
            of positive with the sum 1.
        per: of "learned": a coefficient for each "model", each of its layers ("layer"), parts of
            blocks ("group") or tensors ("tensor").
        steps, rate: of "learned": steps of Adam, and its rate.
        test: another set, on which the models and the soup are judged at the end.
        batch_size: rows a run.
        device: where candidates are run; they are merged on the CPU.
        say: is told each candidate in a line.

    Returns:
        The recipe, which `merge` runs to the model that was judged, and everything that was tried.

    Raises:
        ValueError: fewer than two models, an unknown method, what `merge` refuses.
        FileNotFoundError: a model or a file that is not there.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected one of {', '.join(METHODS)}")
    if method != "learned" and (base is not None or per != "model"):
        raise ValueError(f"base and per are of the method 'learned', but method is {method!r}")
    if steps < 1 or rate <= 0:
        raise ValueError(f"steps is {steps} and rate {rate}, expected 1 or more and above 0")
    if isinstance(models, str | os.PathLike):
        raise ValueError(f"models is one path, '{models}'; expected several")
    live = dict(models) if isinstance(models, Mapping) else {}
    names = list(live) if live else [os.fspath(model) for model in models]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"models is {names}, expected two or more, each once")
    kitchen = Kitchen(names, live, held_out, batch_size, device, say or (lambda _: None))
    if method == "learned":
        recipe, notes = learned(
            kitchen, None if base is None else os.fspath(base), per, steps, rate
        )
    else:
        recipe, notes = (uniform if method == "uniform" else greedy)(kitchen), {}
    return kitchen.served(method, recipe, test, notes)


def uniform(kitchen: Kitchen) -> dict[str, Any]:
    """All models in equal parts."""
    return average(kitchen.names)


def greedy(kitchen: Kitchen) -> dict[str, Any]:
    """From the best model on, every next one that makes the average strictly better."""
    order = sorted(kitchen.names, key=lambda name: kitchen.members[name])
    chosen, best = order[:1], kitchen.members[order[0]]
    for name in order[1:]:
        value = kitchen.taste(" + ".join([*chosen, name]), average([*chosen, name]))
        kitchen.keep(value < best)
        if value < best:
            chosen, best = [*chosen, name], value
    return average(chosen)
