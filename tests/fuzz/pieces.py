"""Valid safetensors files in pieces.

A header is kept as raw JSON text, so that a mutation can write what no JSON library would: keys
twice, numbers with a sign, broken escapes.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
NAMES = [
    "a",
    "b",
    "model.norm.weight",
    "x/y",
    "é",
    "",
    "\u0000",
    "日本",
    "weight",
    "__meta",
    '"',
    "\\",
]


@dataclass
class Entry:
    """One member of the header: its key and its fields, all as raw JSON text."""

    key: str
    fields: list[tuple[str, str]]
    raw: str | None = None  # instead of the fields

    def text(self) -> str:
        body = ",".join(f"{k}:{v}" for k, v in self.fields)
        return f"{self.key}:" + (self.raw if self.raw is not None else "{" + body + "}")

    def set(self, name: str, value: str) -> None:
        self.fields = [(k, value if k == f'"{name}"' else v) for k, v in self.fields]

    def get(self, name: str) -> str:
        return next((v for k, v in self.fields if k == f'"{name}"'), "[]")


@dataclass
class Case:
    """A file to be: header pieces, data, and tricks that are applied to the finished bytes."""

    entries: list[Entry]
    data: bytes
    prefix: bytes = b""
    suffix: bytes = b""
    length_change: int = 0
    edits: list[Callable[[bytearray], None]] = field(default_factory=list)

    def bytes(self) -> bytes:
        text = "{" + ",".join(e.text() for e in self.entries) + "}"
        header = bytearray(self.prefix + text.encode("utf-8", "surrogatepass") + self.suffix)
        for edit in self.edits:
            edit(header)
        length = (len(header) + self.length_change) % 2**64
        return struct.pack("<Q", length) + bytes(header) + self.data


def size_of(dtype: str, shape: list[int]) -> int | None:
    bits = BITS[dtype]
    for dim in shape:
        bits *= dim
    return bits // 8 if bits % 8 == 0 else None


def valid(rng: random.Random) -> Case:
    """A valid file of up to five small tensors, in any order, with or without metadata."""
    entries: list[Entry] = []
    offset = 0
    for name in rng.sample(NAMES, rng.randint(0, 5)):
        dtype = rng.choice(list(BITS))
        shape = [rng.choice([0, 1, 2, 3, 4, 8]) for _ in range(rng.randint(0, 3))]
        size = size_of(dtype, shape)
        if size is None:
            shape.append(8)
            size = size_of(dtype, shape) or 0
        fields = [
            ('"dtype"', f'"{dtype}"'),
            ('"shape"', json.dumps(shape)),
            ('"data_offsets"', f"[{offset},{offset + size}]"),
        ]
        rng.shuffle(fields)
        entries.append(Entry(json.dumps(name, ensure_ascii=rng.random() < 0.5), fields))
        offset += size
    rng.shuffle(entries)
    if rng.random() < 0.4:
        meta = [(json.dumps(k), json.dumps(k * 2)) for k in rng.sample(NAMES, rng.randint(0, 3))]
        entries.insert(rng.randint(0, len(entries)), Entry('"__metadata__"', meta))
    return Case(entries, bytes(rng.randrange(256) for _ in range(offset)))
