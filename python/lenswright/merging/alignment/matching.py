"""Weight matching: orders of units that bring one model's weights nearest to another's."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Sequence

import torch

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.alignment.axes import PARTS, RESIDUAL, kind_of, part_of, with_unit
from lenswright.merging.alignment.orders import in_order
from lenswright.merging.alignment.places import Place, Places
from lenswright.progress import Progress

_ROUNDS = 50


def best_order(similarity: torch.Tensor) -> torch.Tensor:
    """order with Σ similarity[i, order[i]] greatest, of [n, n] in float64."""
    cost = (-similarity).contiguous()
    n = len(cost)
    room = (ctypes.c_double * (n * n)).from_address(cost.data_ptr())
    return torch.tensor(_files.assign(room, n), dtype=torch.int64)


def best_in_groups(
    similarity: torch.Tensor, of_groups: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The order of groups, and of all their units, that is best where groups move as wholes.

    similarity: of units, [n, n]. of_groups: what two groups are alike besides, [groups, groups].
    """
    count = len(of_groups)
    each = len(similarity) // count
    blocks = similarity.view(count, each, count, each)
    gain, inner = of_groups.clone(), {}
    for g in range(count):
        for h in range(count):
            order = inner[g, h] = best_order(blocks[g, :, h])
            gain[g, h] += blocks[g, torch.arange(each), h, order].sum()
    groups = best_order(gain)
    units = torch.cat([int(h) * each + inner[g, int(h)] for g, h in enumerate(groups)])
    return groups, units


class Matching:
    """Orders of a model's axes that fit a reference: coordinate descent over what is asked for.

    Each axis in turn gets its best order under the others' (a linear assignment), until none
    changes: a local optimum. What an axis has in common with one that has no order yet is left out
    of its first one, so that the residual begins with what is anchored in the vocabulary. Experts
    are told apart by their rows of the router.

    Source: Ainsworth, Hayase and Srinivasa 2023, Git Re-Basin, arXiv:2209.04836, algorithm 1.
    """

    def __init__(
        self, model: Checkpoint, reference: Checkpoint, places: Places, parts: Sequence[str]
    ) -> None:
        self._model, self._reference, self._places = model, reference, places
        self._axes: dict[str, list[str]] = defaultdict(list)  # by layer, "" for what has none
        for axis in places.along:
            if part_of(axis) in parts:
                self._axes[axis.partition(".")[0] if "." in axis else ""].append(axis)
        self._moving = {axis for axes in self._axes.values() for axis in axes}
        parted = list(PARTS)
        for axes in self._axes.values():  # experts before their neurons, heads before latents
            axes.sort(key=lambda axis: (kind_of(axis) != "expert", parted.index(part_of(axis))))
        self.orders: dict[str, torch.Tensor] = {}
        self.rounds = 0

    def run(self, bar: Progress) -> dict[str, torch.Tensor]:
        """The orders: of each axis, for each new place the old one."""
        layers = [layer for layer in self._axes if layer]
        if RESIDUAL in self._moving:
            self._match(RESIDUAL)
        coupled = RESIDUAL in self._moving or any("latent" in axis for axis in self._moving)
        while self.rounds < _ROUNDS:
            self.rounds += 1
            changed = False
            for layer in layers:
                for axis in self._axes[layer]:
                    changed |= self._match(axis)
                bar.step(1)
            if RESIDUAL in self._moving:
                changed |= self._match(RESIDUAL)
            if not changed or not coupled:
                break
        return self.orders

    def _match(self, axis: str) -> bool:
        """Give an axis its best order; whether that is another one than before."""
        if kind_of(axis) == "key":  # with the queries of its groups
            return False
        found = {}
        similarity, of = self._similarity(axis), self._places.axes[axis]
        groups = torch.zeros(of.groups, of.groups, dtype=torch.float64)
        if kind_of(axis) == "query":
            keys = axis.removesuffix("query") + "key"
            found[keys], found[axis] = best_in_groups(similarity, self._similarity(keys))
        else:
            _, found[axis] = best_in_groups(similarity, groups)
        changed = False
        for name, order in found.items():
            before = self.orders.get(name, torch.arange(len(order)))
            changed = changed or not torch.equal(before, order)
            self.orders[name] = order
        return changed

    def _similarity(self, axis: str) -> torch.Tensor:
        """Σ over weights of A Bᵀ, units along an axis by units, B in the others' present orders."""
        along = self._places.along[axis]
        known = [(place, at) for place, at in along if self._settled(place, axis)]
        units = self._places.axes[axis].units
        total = torch.zeros(units, units, dtype=torch.float64)
        orders = {name: order for name, order in self.orders.items() if name != axis}
        for place, at in known or along:
            own = in_order(self._model, self._places, place, orders)
            other = place.read(self._reference[place.source])
            extent = place.spans[at][1]
            a, b = (x.double().movedim(at, 0)[:extent].reshape(units, -1) for x in (other, own))
            total += a @ b.t()
        return total + self._of_single(axis, units)

    def _settled(self, place: Place, axis: str) -> bool:
        """Whether all else that moves in a weight has an order, or this axis had one before."""
        if axis in self.orders:
            return True
        others = {name for name, _ in place.spans if name != axis}
        if place.unit is not None:
            others.add(place.unit[0])
        return all(name not in self._moving or name in self.orders for name in others)

    def _of_single(self, axis: str, units: int) -> torch.Tensor:
        """The same of vectors that each head has for itself."""
        total = torch.zeros(units, units, dtype=torch.float64)
        for place in self._places.firsts[axis] if kind_of(axis) != "expert" else ():
            each = [self._places.by_name[with_unit(place.name, unit)] for unit in range(units)]
            a, b = (
                torch.stack([p.read(file[p.source]).double() for p in each])
                for file in (self._reference, self._model)
            )
            total += a @ b.t()
        return total
