"""Weight matching: orders of units that bring one model's weights nearest to another's."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import torch

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.alignment.places import RESIDUAL, Sizes, axes_of, with_axis
from lenswright.progress import Progress

Orders = dict[str, torch.Tensor]
_ROUNDS = 50


def best_order(similarity: torch.Tensor) -> torch.Tensor:
    """order with Σ similarity[i, order[i]] greatest, of [n, n] in float64."""
    cost = (-similarity).contiguous()
    n = len(cost)
    room = (ctypes.c_double * (n * n)).from_address(cost.data_ptr())
    return torch.tensor(_files.assign(room, n), dtype=torch.int64)


class Matching:
    """Orders of a model's axes that fit a reference: coordinate descent over what is asked for.

    Each axis in turn gets its best order under the others' (a linear assignment), until none
    changes: a local optimum, the global one for MLPs and heads alone. The residual begins with what
    is anchored in the vocabulary: the embedding and the unembedding.

    Source: Ainsworth, Hayase and Srinivasa 2023, Git Re-Basin, arXiv:2209.04836, algorithm 1.
    """

    def __init__(
        self, model: Checkpoint, reference: Checkpoint, sizes: Sizes, layers: int,
        parts: Sequence[str],
    ) -> None:  # fmt: skip
        self._model, self._reference = model, reference
        self._sizes, self._layers, self._parts = sizes, layers, parts
        self._names = list(model)
        self.orders: Orders = {}
        self.rounds = 0

    def run(self, bar: Progress) -> Orders:
        """The orders: of each axis, for each new place the old one."""
        if RESIDUAL in self._parts:
            self.orders[RESIDUAL] = best_order(self._similarity(RESIDUAL, anchored=True))
        while self.rounds < _ROUNDS:
            self.rounds += 1
            changed = False
            for layer in range(self._layers):
                if "mlp" in self._parts:
                    changed |= self._set(f"{layer}.mlp", self._mlp(layer))
                if "heads" in self._parts:
                    groups, heads = self._heads(layer)
                    changed |= self._set(f"{layer}.key", groups)
                    changed |= self._set(f"{layer}.query", heads)
                bar.step(1)
            if RESIDUAL not in self._parts:
                return self.orders
            changed |= self._set(RESIDUAL, best_order(self._similarity(RESIDUAL)))
            if not changed:
                return self.orders
        return self.orders

    def _set(self, axis: str, order: torch.Tensor) -> bool:
        before = self.orders.get(axis, torch.arange(len(order)))
        self.orders[axis] = order
        return not torch.equal(before, order)

    def _similarity(self, axis: str, anchored: bool = False) -> torch.Tensor:
        """Σ over tensors of A Bᵀ along an axis, B in the other axes' present orders."""
        total: torch.Tensor | None = None
        for name, place in with_axis(self._names, axis):
            if anchored and axes_of(name)[0] is not None:
                continue
            own = reordered(self._model[name].double(), name, self.orders, but=axis)
            other = self._reference[name].double()
            a, b = (x.movedim(place, 0).reshape(x.shape[place], -1) for x in (other, own))
            total = a @ b.t() if total is None else total + a @ b.t()
        assert total is not None
        return total

    def _mlp(self, layer: int) -> torch.Tensor:
        return best_order(self._similarity(f"{layer}.mlp"))

    def _heads(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Orders of rows of keys (and values) and of queries: whole heads, groups by groups."""
        s = self._sizes
        keys = self._of_heads(f"{layer}.key", s.groups)
        queries = self._of_heads(f"{layer}.query", s.heads)
        each = s.heads // s.groups
        blocks = queries.view(s.groups, each, s.groups, each)
        inner = {
            (g, h): best_order(blocks[g, :, h]) for g in range(s.groups) for h in range(s.groups)
        }
        gain = torch.zeros(s.groups, s.groups, dtype=torch.float64)
        for (g, h), order in inner.items():
            gain[g, h] = blocks[g, torch.arange(each), h, order].sum()
        groups = best_order(keys + gain)
        heads = torch.cat([int(h) * each + inner[g, int(h)] for g, h in enumerate(groups)])
        return _rows(groups, s.width), _rows(heads, s.width)

    def _of_heads(self, axis: str, count: int) -> torch.Tensor:
        """How alike heads are: numbers within a head keep their places."""
        width = self._sizes.width
        total = torch.zeros(count, count, dtype=torch.float64)
        for name, place in with_axis(self._names, axis):
            own = reordered(self._model[name].double(), name, self.orders, but=axis)
            other = self._reference[name].double()
            a, b = (
                x.movedim(place, 0).reshape(count, width * (x.numel() // (count * width)))
                for x in (other, own)
            )
            total += a @ b.t()
        return total


def _rows(heads: torch.Tensor, width: int) -> torch.Tensor:
    return (heads[:, None] * width + torch.arange(width)).reshape(-1)


def reordered(
    tensor: torch.Tensor, name: str, orders: Mapping[str, torch.Tensor], but: str = ""
) -> torch.Tensor:
    """A tensor with its axes in these orders, all `but` one."""
    for place, axis in enumerate(axes_of(name)):
        if axis is not None and axis != but and axis in orders:
            tensor = tensor.index_select(place, orders[axis])
    return tensor
