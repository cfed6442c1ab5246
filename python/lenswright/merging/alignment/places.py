"""Where a decoder's weights lie in its tensors, and which of their units may change places."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lenswright import _files
from lenswright.merging.alignment.axes import Axis, Span, axes_of, spans_of, unit_of


@dataclass(frozen=True)
class Place:
    """A weight: some of a stored tensor, seen as [outputs, inputs], [outputs] or [].

    spans: what runs along each of its dimensions. unit: of a weight that one expert or one head has
    for itself, whose it is.
    """

    name: str
    source: str
    turned: bool
    outputs: int
    inputs: int
    start: int
    run: int
    distance: int
    expert: int
    spans: tuple[Span, ...]
    unit: tuple[str, int] | None

    def _seen(self, stored: torch.Tensor) -> torch.Tensor:
        one = stored[self.expert] if self.expert >= 0 else stored
        one = one.t() if self.turned and self.inputs else one
        if one.ndim == 0:
            return one
        if self.run == 0:
            return one.narrow(0, self.start, self.outputs)
        return one.unflatten(0, (-1, self.distance)).narrow(1, self.start, self.run)

    def read(self, stored: torch.Tensor) -> torch.Tensor:
        """The weight, of the stored tensor."""
        seen = self._seen(stored)
        return seen.flatten(0, 1) if self.run else seen

    def write(self, stored: torch.Tensor, value: torch.Tensor) -> None:
        """Put another value in its place."""
        seen = self._seen(stored)
        seen.copy_(value.unflatten(0, (-1, self.run)) if self.run else value)


class Places:
    """Every weight of a decoder whose family is known, and the axes they have in common.

    Args:
        config: config.json, as text.
        shapes: of the tensors there are, by name.

    Raises:
        ValueError: an unknown family; a tensor that is missing, unknown or of another shape.
    """

    def __init__(self, config: str, shapes: Mapping[str, list[int]]) -> None:
        self.sizes: dict[str, Any] = _files.decoder_rows(config, dict(shapes))
        self.family: str = self.sizes["family"]
        self.by_name: dict[str, Place] = {}
        self.by_source: dict[str, list[Place]] = defaultdict(list)
        self.along: dict[str, list[tuple[Place, int]]] = defaultdict(list)
        self.firsts: dict[str, list[Place]] = defaultdict(list)  # the first unit's own weights
        self.axes: dict[str, Axis] = axes_of(self.sizes)
        for row in self.sizes.pop("rows"):
            self._add(row)

    def _add(self, row: tuple[Any, ...]) -> None:
        name, source, turned, outputs, inputs, start, run, distance, expert = row
        shape = [outputs, inputs] if inputs else [outputs] if outputs else []
        spans, unit = spans_of(name, shape, self.sizes), unit_of(name)
        place = Place(
            name, source, turned, outputs, inputs, start, run, distance, expert, spans, unit
        )
        self.by_name[name] = place
        self.by_source[place.source].append(place)
        if place.unit is not None and place.unit[1] == 0:
            self.firsts[place.unit[0]].append(place)
        for at, (axis, extent) in enumerate(place.spans):
            if axis is None:
                continue
            self.axes.setdefault(axis, Axis(extent))
            self.along[axis].append((place, at))

    @staticmethod
    def of(config: Mapping[str, Any] | None, shapes: Mapping[str, list[int]]) -> Places:
        """The same from a config as data."""
        return Places(json.dumps(config or {}), shapes)

    def impossible(self) -> dict[str, str]:
        """Parts that must stay in order, and why."""
        out = {}
        if self.sizes["position"] == "alibi":
            out["heads"] = "each head has a slope of its own (ALiBi), which no tensor holds"
        if self.sizes["position"] == "sinusoidal":
            out["residual"] = "sinusoids, which no tensor holds, are added to the residual stream"
        elif self.sizes["others"]:
            out["residual"] = (
                f"'{self.sizes['others'][0]}' is not the decoder's, and stands at its residual "
                "stream"
            )
        return out
