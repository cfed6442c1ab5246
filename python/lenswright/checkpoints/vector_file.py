"""One vector of a file: what is added to a residual stream to steer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def read_vector(path: str | Path, d_model: int, n_layers: int, layer: int) -> torch.Tensor:
    """A vector [d_model] from a file, as `read_vectors` reads it.

    Args:
        layer: whose row is taken where the tensor is [n_layers, d_model].
    """
    value = read_vectors(path, d_model, n_layers)
    return value if value.dim() == 1 else value[layer]


def read_vectors(path: str | Path, d_model: int, n_layers: int) -> torch.Tensor:
    """[d_model] or [n_layers, d_model] float64 from a .safetensors, .pt or .npy file.

    Args:
        path: "FILE" that holds one tensor, or "FILE:NAME" where it holds several.
        d_model, n_layers: of the model.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is of another kind, holds several tensors and none was named, or a
            tensor of another shape.
        KeyError: it has no tensor of that name.
    """
    value = _named(path)
    shape = list(value.shape)
    if shape == [1, d_model]:
        return value[0]
    if shape not in ([d_model], [n_layers, d_model]):
        raise ValueError(f"'{path}' holds a tensor {shape}, expected [{d_model}] (d_model)")
    return value


def read_any_vector(path: str | Path) -> torch.Tensor:
    """A vector of any length in float64, where nobody knows the model's.

    Raises:
        As `read_vectors` does.
    """
    value = _named(path)
    if value.dim() == 2 and len(value) == 1:
        return value[0]
    if value.dim() != 1:
        raise ValueError(f"'{path}' holds a tensor {list(value.shape)}, expected a vector")
    return value


def _named(path: str | Path) -> torch.Tensor:
    text, name = str(path), ""
    if not Path(text).exists():
        text, _, name = text.rpartition(":")
        if not text or not Path(text).exists():
            raise FileNotFoundError(f"no vector at '{path}': there is no such file")
    return _one(text, _read(Path(text)), name).to(torch.float64)


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        from lenswright.checkpoints.checkpoint import Checkpoint

        file = Checkpoint(path)
        return {info.name: file[info.name].clone() for info in file.tensors()}
    if path.suffix == ".npy":
        import numpy

        return {"": torch.from_numpy(numpy.load(path, allow_pickle=False))}
    if path.suffix in (".pt", ".pth", ".bin"):
        found = torch.load(path, map_location="cpu", weights_only=True)
        return found if isinstance(found, dict) else {"": found}
    raise ValueError(f"'{path}' is no .safetensors, .pt or .npy file")


def _one(path: str, found: dict[str, Any], name: str) -> torch.Tensor:
    tensors = {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}
    if name:
        if name not in tensors:
            raise KeyError(f"'{path}' has no tensor '{name}', expected one of {sorted(tensors)}")
        return tensors[name]
    if len(tensors) != 1:
        raise ValueError(
            f"'{path}' holds {len(tensors)} tensors {sorted(tensors)[:5]}; name one: {path}:NAME"
        )
    return next(iter(tensors.values()))
