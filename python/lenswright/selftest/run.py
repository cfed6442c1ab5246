"""The short run that the invariants look at: every point of a few tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright.selftest.scan import reread

if TYPE_CHECKING:
    from lenswright.cache import ActivationCache
    from lenswright.model import Model

TOKENS = 12
SMALL = 3e7
"""Models of so many weights are run in float64, where errors of the arithmetic cannot hide."""
LIMITS = {"float64": 1e-9, "float32": 1e-4}
"""Relative errors that are rounding; 0.1 in 16-bit types."""


@dataclass(frozen=True)
class Check:
    """An invariant's outcome: its largest relative error, where it was, and what is allowed."""

    name: str
    figure: float
    limit: float
    where: str = ""

    @property
    def ok(self) -> bool:
        """Whether it holds; NaN does not."""
        return self.figure <= self.limit


class Run:
    """A model, a row of tokens, and what stood at every point."""

    def __init__(self, model: Model, tokens: torch.Tensor) -> None:
        self.model, self.tokens = model, tokens
        self.spec: dict[str, Any] = model.spec
        with torch.no_grad():
            logits, cache = model.run_with_cache(tokens)
        self.logits: torch.Tensor = logits
        self.cache: ActivationCache = cache
        dtype = str(model.core.dtype).removeprefix("torch.")
        self.limit = LIMITS.get(dtype, 0.1)
        self.exact = dtype == "float64"
        self.on_cpu = model.core.device.type == "cpu"

    def at(self, layer: int, name: str) -> torch.Tensor | None:
        """A point of a block in float64, or None where there is none."""
        full = f"blocks.{layer}.{name}"
        return self.cache[full].double() if full in self.cache else None

    def need(self, layer: int, name: str) -> torch.Tensor:
        """The same of a point that every model has."""
        value = self.at(layer, name)
        assert value is not None
        return value

    def weight(self, layer: int, name: str) -> torch.Tensor | None:
        """A canonical weight of a block in float64, or None."""
        core, full = self.model.core, f"blocks.{layer}.{name}"
        return core.weight(full).detach().double() if core.has_weight(full) else None

    @property
    def layers(self) -> range:
        """The numbers of the blocks."""
        return range(self.spec["n_layers"])

    def bitwise(self) -> tuple[float, str]:
        """The limit of what is the same bytes on a CPU, and how to say so."""
        return (0.0, "same bytes") if self.on_cpu else (self.limit, "")


def short_run(model: Model, tokens: list[int] | None) -> Run:
    """Run `tokens` (or ids drawn at random) through a model, in float64 where it is small."""
    size = model.core.size
    longest = min(TOKENS, model.cfg.n_ctx)
    if tokens is None or len(tokens) < 2:
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(0, model.cfg.d_vocab, (longest,), generator=generator)
        tokens = [int(i) for i in drawn]
    if size <= SMALL and model.core.dtype != torch.float64:
        model = reread(model, [], "float64")
    return Run(model, torch.tensor([tokens[:longest]]))


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    """max|a - b| / max|b|; both are read in float64."""
    a, b = a.double().cpu(), b.double().cpu()
    if torch.equal(a, b):
        return 0.0
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-300))


def worst(name: str, limit: float, figures: dict[str, float]) -> Check | None:
    """A check of the largest of figures by place; None where there is nothing to check."""
    if not figures:
        return None
    where = max(figures, key=lambda place: (figures[place] != figures[place], figures[place]))
    return Check(name, figures[where], limit, where)
