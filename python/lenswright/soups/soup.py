"""`lw.soup`: averages of models, chosen by a held-out set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright.merging.live_merge import merged_model
from lenswright.soups.held_out import HeldOut, Judge, Source, judge_of
from lenswright.soups.result import Soup, Taste

if TYPE_CHECKING:
    from lenswright.model import Model

METHODS = ("uniform", "greedy", "learned")
Models = Sequence[str | os.PathLike[str]] | Mapping[str, Any]
Say = Callable[[str], None]


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
        from lenswright.soups.learning import learned

        recipe, notes = learned(
            kitchen, None if base is None else os.fspath(base), per, steps, rate
        )
    else:
        recipe, notes = (uniform if method == "uniform" else greedy)(kitchen), {}
    return kitchen.served(method, recipe, test, notes)


class Kitchen:
    """Models, what candidates are judged by, and what was tried so far."""

    def __init__(
        self, names: Sequence[str], live: Mapping[str, Any], held_out: Source, batch_size: int,
        device: str, say: Say,
    ) -> None:  # fmt: skip
        self.names, self.live, self.batch_size, self.say = list(names), live, batch_size, say
        self.device = device
        self.trace: list[Taste] = []
        self.judge: Judge = judge_of(self.model(average(names[:1])), held_out, batch_size)
        self.members = {name: self.taste(name, average([name])) for name in names}

    def model(self, recipe: Mapping[str, Any]) -> Model:
        """The model of a recipe, in memory."""
        return merged_model(recipe, models=self._live(recipe), device=self.device)

    def _live(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Those models in memory that the recipe names."""
        named = {entry["model"] for entry in recipe["models"]} | {recipe.get("base_model")}
        return {name: model for name, model in self.live.items() if name in named}

    def taste(self, what: str, recipe: Mapping[str, Any]) -> float:
        """Judge a recipe, and tell."""
        value = float(self.judge(self.model(recipe)))
        self.tell(what, value)
        return value

    def tell(self, what: str, value: float) -> None:
        """Add a line to the trace."""
        self.trace.append(Taste(what, value))
        self.say(str(self.trace[-1]))

    def keep(self, kept: bool) -> None:
        """Say whether the last candidate was kept."""
        self.trace[-1].kept = kept
        self.say(f"  {'kept' if kept else 'left out'}")

    def rows(self) -> HeldOut:
        """The held-out set as rows of tokens, which a gradient needs."""
        if not isinstance(self.judge, HeldOut):
            raise ValueError("held_out is a function, which has no gradient; expected texts")
        return self.judge

    def served(
        self, method: str, recipe: dict[str, Any], test: Source | None, notes: Mapping[str, Any]
    ) -> Soup:
        """The result, judged once more as it will be written, and on the test set."""
        last = self.taste("the soup", recipe)
        tests: dict[str, float] = {}
        if test is not None:
            judge = judge_of(self.model(recipe), test, self.batch_size)
            tests = {name: float(judge(self.model(average([name])))) for name in self.names}
            tests["the soup"] = float(judge(self.model(recipe)))
        tokens = self.judge.tokens if isinstance(self.judge, HeldOut) else None
        return Soup(
            method, recipe, last, self.members, self.trace, tests, tokens, dict(notes),
            self._live(recipe),
        )  # fmt: skip


def average(names: Sequence[str]) -> dict[str, Any]:
    """The recipe of a plain average."""
    models = [{"model": name, "parameters": {"weight": 1.0}} for name in names]
    return {"merge_method": "linear", "models": models}


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
