"""Control vectors as GGUF files: what llama.cpp and repeng add to the residual stream."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.gguf_file import read_gguf

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
    which is the residual before layer N + 1; there is none for block 0. repeng's `import_gguf`
    reads the same file and adds at the same place; its `set_control` wants a direction for every
    layer it was told to control, so tell it those of the file. (llama.cpp's own generator writes
    what it measured behind block N as `direction.N+1`, one block late.) `load_control_vector` reads
    it back.

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
    text = _header(tensors, model.spec["family"])
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


def load_control_vector(
    source: str | os.PathLike[str] | Any, model: Model | None = None
) -> dict[int, torch.Tensor]:
    """Vectors of a GGUF control vector or of repeng's `ControlVector`, as they are to be added.

    What `save_control_vector`, repeng's `export_gguf` and llama.cpp's generator write.
    `direction.N` acts on the output of block N, counted from 0: the residual before layer N + 1.
    (repeng may hold one for block 0, which llama.cpp refuses. Its vector for the last block was
    looked for behind the final norm, where `transformers` gives that block's hidden state, but acts
    before it.)

    Args:
        source: a .gguf file, or an object with `directions` {block: array}.
        model: whose residual is meant; None checks no sizes.

    Returns:
        {layer: [d_model]} float64, layers 1 to n_layers, as `edits.add` takes them one by one.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is no GGUF file, or damaged.
        ValueError: it is no control vector, or one for another model; numbers that are not finite.

    >>> for layer, vector in lw.edits.load_control_vector("happy.gguf", model).items():
    ...     edit = edit + lw.edits.add(model, vector, layer, strength=1.5)

    Source: repeng 0.4, extract.py and control.py; llama.cpp, src/llama-adapter.cpp.
    """
    blocks = _blocks(source)
    where = f"'{source}'" if isinstance(source, str | os.PathLike) else "the control vector"
    if not blocks:
        raise ValueError(f"{where} holds no direction, expected direction.N")
    found = {}
    for block, vector in sorted(blocks.items()):
        _check_direction(where, block, vector, model)
        found[block + 1] = vector.double()
    return found


def _blocks(source: Any) -> dict[int, torch.Tensor]:
    directions = getattr(source, "directions", None)
    if isinstance(directions, Mapping):
        return {int(block): torch.as_tensor(vector) for block, vector in directions.items()}
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"source is {type(source).__name__}, expected a .gguf file or repeng's ControlVector"
        )
    file = read_gguf(Path(source))
    kind = file.facts.get("general.architecture")
    if kind != "controlvector":
        raise ValueError(f"'{source}' has architecture {kind!r}, expected 'controlvector'")
    blocks = {}
    for name, tensor in file.tensors.items():
        start, _, number = name.partition(".")
        if start != "direction" or not number.isdecimal():
            raise ValueError(f"'{source}' has a tensor '{name}', expected direction.N")
        blocks[int(number)] = tensor
    return blocks


def _check_direction(where: str, block: int, vector: torch.Tensor, model: Model | None) -> None:
    if vector.dim() != 1:
        raise ValueError(f"{where}: direction.{block} has shape {list(vector.shape)}, expected one "
                         "axis, d_model")  # fmt: skip
    if not bool(vector.isfinite().all()):
        raise ValueError(f"{where}: direction.{block} has numbers that are not finite")
    if model is None:
        return
    if len(vector) != model.cfg.d_model or not 0 <= block < model.cfg.n_layers:
        raise ValueError(
            f"{where} has direction.{block} of {len(vector)} numbers, expected one for a block of "
            f"0 to {model.cfg.n_layers - 1} and {model.cfg.d_model} numbers: it was made for "
            "another model"
        )


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


def _header(tensors: Mapping[str, torch.Tensor], hint: str) -> bytes:
    # Both other writers count directions; no reader asks.
    facts = [
        _string("general.architecture") + struct.pack("<I", _STRING) + _string("controlvector"),
        _string("controlvector.model_hint") + struct.pack("<I", _STRING) + _string(hint),
        _string("controlvector.layer_count") + struct.pack("<II", _UINT32, len(tensors)),
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
