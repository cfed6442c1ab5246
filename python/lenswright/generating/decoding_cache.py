"""Activations of a text that grows while it is read: passes put together by absolute position."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.cache import ActivationCache

if TYPE_CHECKING:
    from lenswright.model import Model

Part = tuple[torch.Tensor, torch.Tensor]  # positions [rows, n] and values [rows, n, ...]


class DecodingCache:
    """Collects what every pass of a generation leaves at some points.

    Args:
        model: that runs.
        names: of the points, in the order of a run.
        prompts: tokens of each row's prompt.
    """

    def __init__(self, model: Model, names: Sequence[str], prompts: Sequence[int]) -> None:
        self.model, self.names = model, list(names)
        self.prompts = torch.tensor(prompts)
        self._parts: dict[str, list[Part]] = {name: [] for name in names}
        self._axes = {name: _position_axis(name, model._shapes[name]) for name in names}

    def add(self, captured: Mapping[str, torch.Tensor], positions: torch.Tensor) -> None:
        """One pass: its tensors by name, and the positions [rows or 1, n] that it ran."""
        rows = len(self.prompts)
        positions = positions.cpu().expand(rows, -1)
        # Behind the last block only what a token is chosen from is computed.
        last = torch.minimum(positions[:, -1], (self.prompts - 1).clamp_min(positions[:, 0]))
        for name in self.names:
            values = captured[name].movedim(self._axes[name], 1)
            values = values.expand(rows, *values.shape[1:])
            at = positions if values.shape[1] == positions.shape[1] else last[:, None]
            self._parts[name].append((at, values))

    def finish(self, lengths: Sequence[int]) -> ActivationCache:
        """The cache of rows in which so many positions were read."""
        ends = torch.tensor(lengths)
        tensors = {name: self._joined(name, ends) for name in self.names}
        ragged = [] if len(set(lengths)) == 1 else list(lengths)
        return ActivationCache(tensors, self.model, ragged, "right")

    def _joined(self, name: str, ends: torch.Tensor) -> torch.Tensor:
        parts, axis = self._parts[name], self._axes[name]
        total = int(ends.max())
        shape = [len(ends), total, *parts[0][1].shape[2:]]
        if axis == 2:
            shape[3] = total  # keys
        joined = parts[0][1].new_full(shape, _filling(name, parts[0][1]))
        for positions, values in parts:
            row, place = (positions < ends[:, None]).nonzero(as_tuple=True)
            to = joined if axis == 1 else joined[..., : values.shape[3]]
            at = positions[row, place].to(values.device)
            row, place = row.to(values.device), place.to(values.device)
            to[row, at] = values[row, place, ..., : to.shape[-1]]
        return joined.movedim(1, axis)


def _position_axis(name: str, shape: Sequence[str]) -> int:
    for axis, word in enumerate(shape):
        if word in ("pos", "query"):
            return axis
    raise ValueError(f"names_filter has '{name}', which has no positions; shape {list(shape)}")


def _filling(name: str, like: torch.Tensor) -> float:
    # Positions a row does not reach, or where nothing was computed.
    if name.endswith("hook_attn_scores"):
        return -math.inf
    if name.endswith("hook_pattern") or not like.is_floating_point():
        return 0
    return math.nan
