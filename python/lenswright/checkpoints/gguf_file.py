"""GGUF files with a few tensors of plain numbers, such as control vectors: read whole."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

MAGIC, ALIGNMENT = b"GGUF", 32
# type of a value -> its form for `struct`; 8 is a string, 9 an array
_NUMBERS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_TYPES = {0: torch.float32, 1: torch.float16, 28: torch.float64, 30: torch.bfloat16}
_MOST = 1 << 20  # of anything that a header counts


@dataclass(frozen=True)
class GgufFile:
    """facts: the metadata. tensors: by name, in the order of the file, axes outermost first."""

    facts: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def read_gguf(path: str | Path) -> GgufFile:
    """Read a file of plain numbers (F32, F16, BF16, F64).

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is no GGUF file of version 2 or 3, damaged, or holds quantised tensors.

    Source: the GGUF specification, version 3.
    """
    from lenswright._files import CheckpointError

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no GGUF file at '{path}'")
    try:
        return _Reader(path.read_bytes()).whole()
    except (ValueError, struct.error, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no GGUF file of plain numbers: {error}") from None


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def whole(self) -> GgufFile:
        if self.raw[:4] != MAGIC:
            raise ValueError(f"it begins with {self.raw[:4]!r}, expected {MAGIC!r}")
        self.at = 4
        version = self.number("I")
        if version not in (2, 3):
            raise ValueError(f"version is {version}, expected 2 or 3")
        count, facts_count = self.count(), self.count()
        facts = {}
        for _ in range(facts_count):
            name = self.string()
            facts[name] = self.value(self.number("I"))
        infos = dict(self.info() for _ in range(count))
        align = facts.get("general.alignment", ALIGNMENT)
        if not isinstance(align, int) or align < 1:
            raise ValueError(f"general.alignment is {align!r}, expected a positive number")
        start = -(-self.at // align) * align
        return GgufFile(facts, {n: self.tensor(start, n, *info) for n, info in infos.items()})

    def number(self, form: str) -> Any:
        (found,) = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def count(self) -> int:
        found: int = self.number("Q")
        if found > _MOST:
            raise ValueError(f"byte {self.at - 8} counts {found}, expected at most {_MOST}")
        return found

    def string(self) -> str:
        size = self.count()
        if self.at + size > len(self.raw):
            raise ValueError(f"the text at byte {self.at} ends behind the file")
        self.at += size
        return self.raw[self.at - size : self.at].decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, size = self.number("I"), self.count()
            if inner == _ARRAY:
                raise ValueError("it holds an array of arrays, expected none")
            return [self.value(inner) for _ in range(size)]
        if kind not in _NUMBERS:
            raise ValueError(f"a value has type {kind}, expected 0 to 12")
        return self.number(_NUMBERS[kind])

    def info(self) -> tuple[str, tuple[list[int], int, int]]:
        name, dims = self.string(), self.number("I")
        if dims > 4:
            raise ValueError(f"tensor '{name}' has {dims} axes, expected at most 4")
        sizes = [self.number("Q") for _ in range(dims)]
        return name, (sizes[::-1], self.number("I"), self.number("Q"))

    def tensor(self, start: int, name: str, sizes: list[int], kind: int, offset: int) -> Any:
        if kind not in _TYPES:
            raise ValueError(f"tensor '{name}' has type {kind}, expected F32, F16, BF16 or F64")
        dtype, count = _TYPES[kind], 1
        for size in sizes:
            count *= size
        begin, nbytes = start + offset, count * dtype.itemsize
        if begin + nbytes > len(self.raw):
            raise ValueError(f"tensor '{name}' ends at byte {begin + nbytes} of {len(self.raw)}")
        part = bytearray(self.raw[begin : begin + nbytes])
        flat = torch.frombuffer(part, dtype=dtype) if count else torch.empty(0, dtype=dtype)
        return flat.reshape(sizes)
