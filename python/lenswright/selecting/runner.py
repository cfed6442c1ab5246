"""Runs of packed prompts under variants that are rows of one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lenswright.measuring.forcing import last_point
from lenswright.selecting.late import residual_at
from lenswright.selecting.packing import budget_of, pack_taps, run_pack
from lenswright.selecting.reads import read_all

if TYPE_CHECKING:
    import torch

    from lenswright import _core
    from lenswright.model import Model
    from lenswright.selecting.bundles import Bundle, Trial

Step = Callable[[int], None]


class Runner:
    """Runs bundles under variants, so many lines at a time."""

    def __init__(self, model: Model, batch_size: int, step: Step) -> None:
        self.model, self.batch_size, self.step = model, batch_size, step
        self.alone = budget_of(model) == 0

    def parts(self, bundle: Bundle, variants: Sequence[int]) -> Iterator[list[int]]:
        """Variants that are run together."""
        size = max(1, self.batch_size // bundle.lines)
        for start in range(0, len(variants), size):
            yield list(variants[start : start + size])

    def run(
        self, bundle: Bundle, trials: Sequence[Trial], variants: list[int],
        change: Callable[[_core.Taps], None], start: int = 0, residual: torch.Tensor | None = None,
    ) -> None:  # fmt: skip
        """One run of some variants of a bundle: `change` puts them on the taps."""
        model, count = self.model, len(variants)
        taps = pack_taps(model, bundle.pack, count, bundle.prompt)
        change(taps)
        for trial, prompts in zip(trials, bundle.prompts, strict=True):
            trial.late.watch(taps, variants, [one.places[-1] for one in prompts], start)
        last, wanted = last_point(model), None
        if bundle.reads:
            taps.capture(last)
            wanted = None if self.alone else bundle.wanted
        run_pack(model, bundle.pack, taps, count, wanted, start, residual)
        if bundle.reads:
            final = taps.captured[last]
            final = final[:, bundle.wanted] if wanted is None else final
            read_all(model, bundle.reads, bundle.wanted, final, variants)
        self.step(count * bundle.lines)

    def stored(self, bundle: Bundle, layers: set[int]) -> dict[int, torch.Tensor]:
        """The residuals of the unchanged model before blocks; nothing where something acts there
        that has to act in each run.
        """
        if self.model._hooks or self.model._steerings:
            return {}
        taps = pack_taps(self.model, bundle.pack, 1, bundle.prompt)
        for layer in layers:
            taps.capture(residual_at(layer))
        run_pack(self.model, bundle.pack, taps, 1, None)
        return {layer: taps.captured[residual_at(layer)] for layer in layers}
