"""Control vectors as GGUF files: what llama.cpp and repeng add to the residual stream."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lenswright.model import Model

_VERSION, _ALIGNMENT, _F32 = 3, 32, 0
_UINT32, _STRING = 4, 8  # types of metadata values


def save_control_vector(
    path: str | os.PathLike[str],
    vectors: Mapping[int, torch.Tensor],
    model: Model,
    strength: float = 1.0,
) -> Path:
    """Write vectors that are added to the residual before some layers as a GGUF control vector.

    The file's `direction.N` is what llama.cpp adds to the output of its block N, counted from 0,
    which is the residual before layer N + 1; there is none for block 0. repeng reads the same file
    and adds at the same place. (llama.cpp's own generator writes what it measured behind block N as
    `direction.N+1`, one block late.)

    Args:
        path: to write; must not exist.
        vectors: {layer: [d_model]} with their lengths, as for `edits.add`: 2 to n_layers.
        model: whose residual is meant.
        strength: multiplies them.

    Raises:
        FileExistsError: the file exists.
        IndexError: a layer that no block of a control vector writes to.
        ValueError: no vectors, one of another size or not finite.

    Source: llama.cpp, src/llama-adapter.cpp and common/common.cpp; the GGUF specification, 3.
    """
    path = Path(path)
    tensors = _tensors(vectors, model, strength)
    text = _header(tensors, model.spec["family"], model.cfg.n_layers)
    body = b"".join(_padded(t.numpy().tobytes()) for t in tensors.values())
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("xb") as file:
        file.write(_padded(text) + body)
        os.fsync(file.fileno())
    try:
        os.link(partial, path)  # never over a file that is there
    finally:
        partial.unlink()
    return path


def _tensors(
    vectors: Mapping[int, torch.Tensor], model: Model, strength: float
) -> dict[str, torch.Tensor]:
    if not vectors:
        raise ValueError("vectors is empty, expected {layer: tensor}")
    last, width = model.cfg.n_layers, model.cfg.d_model
    tensors = {}
    for layer in sorted(vectors):
        if not 2 <= layer <= last:
            raise IndexError(
                f"vectors has layer {layer}, expected 2 to {last}: a control vector is added "
                "behind the second block at the earliest"
            )
        vector = strength * vectors[layer].detach().double().cpu()
        if list(vector.shape) != [width]:
            raise ValueError(
                f"the vector of layer {layer} has shape {list(vector.shape)}, expected [{width}]"
            )
        if not bool(vector.isfinite().all()):
            raise ValueError(f"the vector of layer {layer} has numbers that are not finite")
        tensors[f"direction.{layer - 1}"] = vector.float()
    return tensors


def _header(tensors: Mapping[str, torch.Tensor], hint: str, n_layers: int) -> bytes:
    facts = [
        _string("general.architecture") + struct.pack("<I", _STRING) + _string("controlvector"),
        _string("controlvector.model_hint") + struct.pack("<I", _STRING) + _string(hint),
        _string("controlvector.layer_count") + struct.pack("<II", _UINT32, n_layers),
    ]
    parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(tensors), len(facts)), *facts]
    offset = 0
    for name, tensor in tensors.items():
        parts.append(_string(name) + struct.pack("<IQIQ", 1, tensor.numel(), _F32, offset))
        offset += len(_padded(bytes(4 * tensor.numel())))
    return b"".join(parts)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % _ALIGNMENT)
