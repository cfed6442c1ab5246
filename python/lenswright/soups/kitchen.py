"""Models and what candidates of them are judged by: where soups are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright.merging.live_merge import merged_model
from lenswright.soups.held_out import HeldOut, Judge, Source, judge_of
from lenswright.soups.result import Soup, Taste

if TYPE_CHECKING:
    from lenswright.model import Model

Say = Callable[[str], None]


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
