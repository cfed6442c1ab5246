"""Small results as one safetensors file: tensors, and facts as JSON in its metadata."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lenswright import _files

WIRE = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.bool: "BOOL",
}  # fmt: skip


def save(
    path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and metadata; the file appears whole or not at all.

    Raises:
        FileExistsError: `path` exists.
        ValueError: a tensor of a type that is not stored.
    """
    flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    for name, value in flat.items():
        if value.dtype not in WIRE:
            known = ", ".join(str(dtype) for dtype in WIRE)
            raise ValueError(f"tensor '{name}' is {value.dtype}, expected one of {known}")
    specs = [(name, WIRE[value.dtype], list(value.shape)) for name, value in flat.items()]
    writer = _files.FileWriter(Path(path), specs, dict(metadata))
    for name, value in flat.items():
        if value.numel():
            size = value.numel() * value.element_size()
            writer.write(name, 0, (ctypes.c_char * size).from_address(value.data_ptr()))
    writer.finish()


def load(path: str | Path, key: str) -> tuple[dict[str, torch.Tensor], Any]:
    """Tensors of a file, and the facts under a key of its metadata.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is no valid safetensors file.
        ValueError: it holds something else.
    """
    from lenswright.checkpoints.checkpoint import Checkpoint

    file = Checkpoint(path)
    if key not in file.metadata:
        raise ValueError(
            f"{path} holds no {key.removeprefix('lenswright.')} (no '{key}' in its metadata)"
        )
    # A copy: the file's pages must not be needed any longer.
    tensors = {info.name: file[info.name].clone() for info in file.tensors()}
    return tensors, json.loads(file.metadata[key])
