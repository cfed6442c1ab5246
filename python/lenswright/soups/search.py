"""`lw.search_merge`: the numbers of a merge recipe, searched by what the merged model does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lenswright.merging import recipes
from lenswright.merging.live_merge import merged_model
from lenswright.soups.held_out import HeldOut, Source, judge_of
from lenswright.soups.result import Soup, Taste
from lenswright.soups.space import Space

if TYPE_CHECKING:
    from lenswright.model import Model

Say = Callable[[str], None]


def search_merge(
    recipe: recipes.Source,
    measure: Source,
    *,
    evaluations: int = 60,
    sigma: float = 0.25,
    population: int | None = None,
    seed: int = 0,
    better: str = "lower",
    mode: str = "strict",
    models: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    say: Say | None = None,
) -> Soup:
    """Search the open numbers of a merge recipe by CMA-ES (Hansen 2016, arXiv:1604.00772).

    Args:
        recipe: as `merge` takes it, with `{search: [low, high]}` in the place of each number to be
            searched; beside it may stand `start` (default: the middle) and `scale: log`.
        measure: a function of the merged model, or a held-out set (see `soup`), whose loss it then
            is.
        evaluations: merges that are tried, the start among them.
        sigma: first step, of the width of each range.
        population: candidates a generation; None: 4 + 3 ln(number of open numbers), rounded down.
        seed: of the candidates, and of merge methods that drop at random; the same one gives the
            same trace.
        better: "lower" or "higher" values of `measure`.
        mode, models: as in `merge`.
        batch_size: rows a run, for a held-out set.
        device: where candidates are run; they are merged on the CPU.
        say: is told each candidate in a line.

    Returns:
        The best recipe that was met, with everything that was tried. A value that is no number
        counts as the worst.

    Raises:
        ImportError: the package cmaes is not installed (pip install 'lenswright[search]').
        ValueError: nothing to search, ends that are none, what `merge` refuses.
    """
    if better not in ("lower", "higher"):
        raise ValueError(f"better is {better!r}, expected 'lower' or 'higher'")
    if evaluations < 1 or not 0 < sigma <= 1:
        raise ValueError(f"evaluations is {evaluations} and sigma {sigma}, expected 1 or more and "
                         "above 0 to 1")  # fmt: skip
    documents = recipes.read(recipe)
    if len(documents) > 1:
        raise ValueError(f"{documents[0].where}: has stages; expected one document")
    space = Space(documents[0].data)
    tried = _Tried(space, measure, better, mode, models or {}, seed, batch_size, device, say)
    _run(space, tried, evaluations, sigma, population, seed)
    tokens = tried.judge.tokens if isinstance(tried.judge, HeldOut) else None
    return Soup(
        "search", space.at(tried.best), tried.value, {}, tried.trace, {}, tokens,
        {"searched": dict(zip((o.name for o in space.open), tried.best, strict=True)),
         "seed": seed, "better": better}, tried.models, seed, mode,
    )  # fmt: skip


class _Tried:
    """Judges candidates, and keeps the best."""

    def __init__(
        self, space: Space, measure: Source, better: str, mode: str, models: Mapping[str, Any],
        seed: int, batch_size: int, device: str, say: Say | None,
    ) -> None:  # fmt: skip
        self.space, self.mode, self.models, self.seed = space, mode, models, seed
        self.device = device
        self.sign = 1.0 if better == "lower" else -1.0
        self.say = say or (lambda _: None)
        self.best = [one.start for one in space.open]
        self.value = math.inf * self.sign
        self.trace: list[Taste] = []
        self.judge = judge_of(self.model(self.best), measure, batch_size)

    def model(self, numbers: list[float]) -> Model:
        recipe = self.space.at(numbers)
        return merged_model(
            recipe, self.mode, models=self.models or None, seed=self.seed, device=self.device
        )

    def __call__(self, numbers: list[float]) -> float:
        """What is to become small."""
        value = float(self.judge(self.model(numbers)))
        cost = math.inf if math.isnan(value) else self.sign * value
        kept = cost < self.sign * self.value
        if kept:
            self.best, self.value = numbers, value
        shown = ", ".join(
            f"{one.name} {number:.4g}" for one, number in zip(self.space.open, numbers, strict=True)
        )
        self.trace.append(Taste(shown, value, kept))
        self.say(str(self.trace[-1]))
        return cost


def _run(
    space: Space, tried: _Tried, evaluations: int, sigma: float, population: int | None, seed: int
) -> None:
    try:
        import cmaes
    except ImportError:
        raise ImportError(
            "searching needs the package cmaes: pip install 'lenswright[search]'"
        ) from None
    import numpy as np

    start = [one.to_unit(one.start) for one in space.open]
    count = len(start)
    # the package knows no search along one line: the second number is not used then
    mean = np.array(start if count > 1 else [*start, 0.5])
    bounds = np.array([[0.0, 1.0]] * len(mean))
    search = cmaes.CMA(mean, sigma, bounds, seed=seed % 2**32, population_size=population)
    tried([one.start for one in space.open])
    left = evaluations - 1
    while left > 0:
        found = []
        for _ in range(min(left, search.population_size)):
            place = search.ask()
            numbers = [
                o.from_unit(float(x)) for o, x in zip(space.open, place[:count], strict=True)
            ]
            found.append((place, tried(numbers)))
        left -= len(found)
        if len(found) == search.population_size:
            search.tell(found)
