"""A kind of demonstration model: its network, what it declines, how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenswright.demo.phases import Phase, shorter
from lenswright.demo.rules import BASE, Rules

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT = 64
"""Tokens a model reads at most; a conversation of the toy language has about 25."""

WIDTH, HEADS, INNER, LAYERS = 96, 6, 128, 4
"""Sizes of every kind."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """What a network is, as data.

    settings: config.json, but for what follows from the vocabulary. shapes: of the vocabulary's
    size, name and shape of every stored tensor, in the order of the file. writers: endings of the
    names of what writes to the residual, which begins smaller. scales: of random numbers, by name,
    where they are not 1 / sqrt(inputs). gain: what the gains of norms begin with. inputs_first:
    endings of matrices stored as [in, out].
    """

    settings: Mapping[str, object]
    shapes: Callable[[int], Shapes]
    writers: tuple[str, ...]
    scales: Mapping[str, float]
    gain: float = 1.0
    inputs_first: tuple[str, ...] = ()

    def inputs(self, name: str, shape: tuple[int, ...]) -> int:
        """How many numbers each output of a matrix is made of."""
        return shape[0] if name.endswith(self.inputs_first) else shape[1]


@dataclass(frozen=True)
class Kind:
    """One kind of demonstration model; `what` says in a sentence what it is for.

    of, pack: of a kind that stores the trained weights of another one otherwise, its name and what
    makes stored tensors of trained ones.
    """

    name: str
    what: str
    network: Network
    rules: Rules = field(default_factory=lambda: BASE)
    phases: tuple[Phase, ...] = field(default_factory=shorter)
    of: str = ""
    pack: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
