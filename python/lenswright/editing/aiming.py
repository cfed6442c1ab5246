"""What names directions, as tensors with where they came from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.checkpoints.fingerprint import fingerprint
from lenswright.directions import Directions

if TYPE_CHECKING:
    from lenswright.model import Model

Given = tuple[torch.Tensor | None, dict[Any, torch.Tensor]]  # one for all, or by layer


@dataclass(frozen=True)
class Sourced:
    """Vectors [d_model] or [k, d_model] of a point and position, and how they came about."""

    vector: torch.Tensor
    point: str
    position: str
    provenance: Mapping[str, Any]


def unpacked(direction: object, model: Model | None = None) -> tuple[Given, dict[str, Any] | None]:
    """((one tensor or None, tensors by layer), provenance) of whatever names a direction.

    Args:
        model: that it is meant for; None: not known here.

    Raises:
        TypeError: it is none of a tensor, a mapping, `Directions` and a `Choice`.
        ValueError: a mapping is empty, there are several `Directions`, or they were found in
            another model.
    """
    given, source = _unpacked(direction)
    if model is not None and source is not None:
        check_made(source.get("model"), model)
    return given, source


def _unpacked(direction: object) -> tuple[Given, dict[str, Any] | None]:
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
                "take .only(point, position) (in the shell --at POINT POSITION)"
            )
        point, position = direction.points[0], direction.positions[0]
        place = {"point": point, "position": str(position)}
        return (direction.vector(point, position), {}), dict(direction.provenance) | place
    vector = getattr(direction, "vector", None)
    if not isinstance(vector, torch.Tensor):
        raise TypeError(
            f"direction is {type(direction).__name__}, expected a tensor [d_model], a Choice, "
            "Directions with one direction, or {layer: tensor}"
        )
    source: dict[str, Any] = dict(getattr(direction, "provenance", {}))
    for name in ("point", "position"):
        source[name] = getattr(direction, name, source.get(name))
    return (vector, {}), source


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


def check_made(made: Any, model: Model, only_warn: bool = False) -> None:
    """See that what provenance calls its model is this one.

    Args:
        only_warn: where it has the same sizes, and another config.json or other weights.

    Raises:
        ValueError: it has other sizes, another config.json, or other weights.
    """
    if not isinstance(made, Mapping) or "d_model" not in made:
        return
    cfg = model.cfg
    if (made["n_layers"], made["d_model"]) != (cfg.n_layers, cfg.d_model):
        raise ValueError(
            f"the direction was made with {made['name']} ({made['n_layers']} layers of "
            f"{made['d_model']}), expected this model ({cfg.n_layers} layers of {cfg.d_model})"
        )
    different = _different(made, model)
    if different and only_warn:
        warnings.warn(
            f"the direction was found in {made['name']}, whose {different} than those of "
            f"{cfg.model_name}",
            stacklevel=3,
        )
    elif different:
        raise ValueError(
            f"the direction was found in {made['name']}, whose {different} than those of "
            f"{cfg.model_name}; to take it from one model to another give the vector itself, "
            ".vector"
        )


def _different(made: Mapping[str, Any], model: Model) -> str:
    """What of the model is another than it was made with; "" where nothing is, or is known."""
    config = model.folder / "config.json"
    if "config_sha256" not in made or not config.is_file():
        return ""
    if hashlib.sha256(config.read_bytes()).hexdigest() != made["config_sha256"]:
        return "config.json holds other settings"
    own = fingerprint(model.folder)
    if own is not None and made.get("weights") not in (None, own):
        return "weights are others"
    return ""
