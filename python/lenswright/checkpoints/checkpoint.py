"""Checkpoints: folders of safetensors files, validated before a byte of them is trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright import _files
from lenswright.checkpoints.hub import resolve

if TYPE_CHECKING:
    import torch

CheckpointError = _files.CheckpointError
Report = Callable[[int, int], object]

# The format's names and torch's. torch has no 6-bit types.
TORCH = {
    "BOOL": "bool", "F4": "float4_e2m1fn_x2", "U8": "uint8", "I8": "int8",
    "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "I16": "int16",
    "U16": "uint16", "F16": "float16", "BF16": "bfloat16", "I32": "int32", "U32": "uint32",
    "F32": "float32", "C64": "complex64", "F64": "float64", "I64": "int64", "U64": "uint64",
}  # fmt: skip


class Checkpoint:
    """A checkpoint folder or .safetensors file; tensors by name, without a copy.

    ``checkpoint["name"]`` maps the file privately: changing the tensor in place changes what this
    object (and a model loaded from it) sees, never the file. Headers are checked here, whole; what
    is checked and which links are followed is written in csrc/io.

    Args:
        path_or_hub_id: a folder, a .safetensors file, an index of one, or a hub id.
        revision: of a hub id.
        lenient: accept bytes after the last tensor, which some old files have.

    Raises:
        FileNotFoundError: nothing is there.
        CheckpointError: the files are not what they claim to be; has flaw, file, tensor and offset.
        ValueError: config.json is no JSON object.
    """

    def __init__(
        self,
        path_or_hub_id: str | os.PathLike[str],
        revision: str | None = None,
        lenient: bool = False,
    ) -> None:
        self.path = resolve(path_or_hub_id, revision)
        self.native = _files.Checkpoint(self.path, lenient)
        self.folder = Path(self.native.folder)

    def __getitem__(self, name: str) -> torch.Tensor:
        """A tensor, zero copy where its bytes are aligned.

        6-bit types, which torch lacks, come as their bytes (uint8, one dimension), and
        `info(name).dtype` names the type. 4-bit floats come as pairs: half the last dimension.

        Raises:
            KeyError: no such tensor; names the nearest.
        """
        return _as_torch(self.info(name), self.native.data(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.native

    def __iter__(self) -> Iterator[str]:
        return iter(self.native.names)

    def __len__(self) -> int:
        return len(self.native)

    def keys(self) -> list[str]:
        """Names of the tensors, in file order."""
        return list(self.native.names)

    def tensors(self) -> list[_files.TensorInfo]:
        """Name, dtype, shape, file and byte range of every tensor, shard by shard in file order."""
        return list(self.native.tensors)

    def info(self, name: str) -> _files.TensorInfo:
        """What the header says of one tensor.

        Raises:
            KeyError: no such tensor; names the nearest.
        """
        try:
            return self.native.info(name)
        except IndexError as error:
            raise KeyError(str(error)) from None

    @property
    def config(self) -> dict[str, Any] | None:
        """config.json, or None where the folder has none."""
        return json.loads(self.native.config_text()) if self.native.has_config else None

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of all shards together.

        Raises:
            ValueError: two shards disagree about a key; ask `header(shard).metadata` then.
        """
        merged: dict[str, str] = {}
        for shard in self.shards:
            for key, value in self.header(shard).metadata.items():
                if merged.setdefault(key, value) != value:
                    raise ValueError(f"metadata: shards disagree about '{key}'; ask header(shard)")
        return merged

    @property
    def shards(self) -> list[str]:
        """Names of the files that hold the tensors."""
        return list(self.native.shards)

    def header(self, shard: str) -> _files.Header:
        """The header of one shard: tensors, metadata, data_start, file_size, trailing_bytes."""
        return self.native.header(shard)

    @property
    def other_files(self) -> list[str]:
        """Small files beside the weights: tokenizer, templates, licence; config.json excluded."""
        return list(self.native.other_files())

    def check(self, progress: Report | None = None) -> dict[str, _files.TensorCheck]:
        """Read every byte from the disk, headers again included.

        Args:
            progress: called with (bytes done, bytes in all) a few times a second; stops the work by
                returning False.

        Returns:
            By tensor name: sha256 of its bytes, and how many elements are not_a_number or infinite.

        Raises:
            CheckpointError: a header that is not valid (any more), a file that has changed.
            OSError: the disk cannot be read.
            Cancelled: `progress` returned False.
        """
        fresh = _files.Checkpoint(self.path, self.native.trailing_bytes > 0)
        return {check.name: check for check in fresh.verify(progress)}

    def __repr__(self) -> str:
        dtypes = sorted({info.dtype for info in self.native.tensors})
        count = sum(info.numel for info in self.native.tensors)
        shards = len(self.shards)
        return (
            f"Checkpoint('{self.path}': {len(self):,} tensors, {count:,} parameters, "
            f"{', '.join(dtypes) or 'empty'}, {shards} file{'s' if shards != 1 else ''})"
        )


def printable(name: str) -> str:
    """A tensor's name for a terminal: control characters, which it may hold, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


# `data` is a _files.TensorBytes: a buffer, which its stub cannot say.
def _as_torch(info: _files.TensorInfo, data: Any) -> torch.Tensor:
    import torch

    shape = info.shape
    dtype = getattr(torch, TORCH.get(info.dtype, "uint8"), torch.uint8)
    if info.dtype == "F4" and shape and shape[-1] % 2 == 0:
        shape = (*shape[:-1], shape[-1] // 2)
    elif info.dtype not in TORCH or info.dtype == "F4":
        shape, dtype = (info.nbytes,), torch.uint8
    if info.nbytes == 0:
        return torch.empty(shape, dtype=dtype)
    if data.address % dtype.itemsize == 0:
        return torch.frombuffer(data, dtype=torch.uint8).view(dtype).view(shape)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype).view(shape)
