"""Orders of a decoder's units, and its weights in them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.alignment.axes import with_unit
from lenswright.merging.alignment.places import Place, Places

Orders = Mapping[str, torch.Tensor]
"""Of each axis, for each new place of a unit the old one; axes that are not in it stay."""


def numbers(order: torch.Tensor, extent: int, size: int) -> torch.Tensor:
    """The order of `size` numbers whose first `extent` are those of the units, the rest staying."""
    width = extent // len(order)
    moved = (order[:, None] * width + torch.arange(width)).reshape(-1)
    return torch.cat([moved, torch.arange(extent, size)])


def in_order(file: Checkpoint, places: Places, place: Place, orders: Orders) -> torch.Tensor:
    """What stands at a place once the units are in these orders, in the stored type."""
    old = place
    if place.unit is not None and place.unit[0] in orders:
        whose, unit = place.unit
        old = places.by_name[with_unit(place.name, int(orders[whose][unit]))]
    value = old.read(file[old.source])
    for at, (axis, extent) in enumerate(place.spans):
        if axis is not None and axis in orders:
            value = value.index_select(at, numbers(orders[axis], extent, value.shape[at]))
    return value


def reordered(file: Checkpoint, places: Places, source: str, orders: Orders) -> torch.Tensor:
    """A stored tensor of the model in these orders; one that holds no weight of it as it is."""
    stored = file[source]
    if source not in places.by_source:
        return stored
    out = stored.clone()
    for place in places.by_source[source]:
        place.write(out, in_order(file, places, place, orders))
    return out
