"""What names directions, as tensors with where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.directions import Directions

if TYPE_CHECKING:
    from lenswright.model import Model

Given = tuple[torch.Tensor | None, dict[Any, torch.Tensor]]  # one for all, or by layer


def unpacked(direction: object) -> tuple[Given, dict[str, Any] | None]:
    """((one tensor or None, tensors by layer), provenance) of whatever names a direction.

    Raises:
        TypeError: it is none of a tensor, a mapping, `Directions` and a `Choice`.
        ValueError: a mapping is empty, or there are several `Directions`.
    """
    if isinstance(direction, torch.Tensor):
        return (direction, {}), None
    if isinstance(direction, Mapping):
        if not direction:
            raise ValueError("direction is an empty mapping, expected {layer: tensor}")
        return (None, dict(direction)), None
    if isinstance(direction, Directions):
        count = len(direction.points) * len(direction.positions)
        if count != 1:
            raise ValueError(
                f"direction is {count} Directions, expected one: choose with directions.select, or "
                "take .vector(point, position)"
            )
        only = direction.vector(direction.points[0], direction.positions[0])
        return (only, {}), dict(direction.provenance)
    vector = getattr(direction, "vector", None)
    if not isinstance(vector, torch.Tensor):
        raise TypeError(
            f"direction is {type(direction).__name__}, expected a tensor [d_model], a Choice, "
            "Directions with one direction, or {layer: tensor}"
        )
    return (vector, {}), dict(getattr(direction, "provenance", {}))


def optional(vectors: object, name: str) -> Given:
    """The same of tensors that may be missing.

    Raises:
        TypeError: they are neither a tensor nor a mapping of such.
    """
    if vectors is None:
        return None, {}
    if isinstance(vectors, torch.Tensor):
        return vectors, {}
    if isinstance(vectors, Mapping) and vectors:
        return None, dict(vectors)
    raise TypeError(
        f"{name} is {type(vectors).__name__}, expected a tensor [d_model], [k, d_model], or "
        "{layer: tensor}"
    )


def count_of(given: Given, rows: bool = False) -> int:
    """How many directions there are, of one layer and one row."""
    tensor = given[0] if given[0] is not None else next(iter(given[1].values()))
    return tensor.shape[-2] if tensor.dim() > 1 + rows else 1


def noise(model: Model, count: int, seed: int, index: int) -> torch.Tensor:
    """[d_model], or [count, d_model]: the index-th random unit vectors of a seed."""
    every = _core.random_directions((index + 1) * count, model.cfg.d_model, seed)
    return every[index] if count == 1 else every[index * count :]
