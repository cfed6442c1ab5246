"""Valid safetensors files and mutations of them that know the format.

A header is kept as raw JSON text in pieces, so that a mutation can write what no JSON library
would: keys twice, numbers with a sign, broken escapes.
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
NUMBERS = [
    "0", "1", "2", "7", "8", "9", "63", "64", "255", "4294967296", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", "-1", "-0", "1.0", "1e0",
    "0.0", "01", "+1", "0x1", "null", "true", '"1"', "[]", "{}", "[1]", "1e400", "NaN", "", "1 ",
]  # fmt: skip
DTYPES = [*BITS, "f32", "F33", "", "Bool", "F8", "BF", "U128", "F8_E4M3FN", "F4 ", "U8\u0000"]


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


def _entry(rng: random.Random, case: Case) -> Entry:
    if not case.entries:
        case.entries.append(
            Entry('"t"', [('"dtype"', '"U8"'), ('"shape"', "[0]"), ('"data_offsets"', "[0,0]")])
        )
    return rng.choice(case.entries)


def _numbers(text: str) -> list[str]:
    return [n for n in text.strip("[]").replace(" ", "").split(",") if n]


def change_offsets(rng: random.Random, case: Case) -> None:
    entry = _entry(rng, case)
    numbers = _numbers(entry.get("data_offsets"))
    match rng.randrange(5):
        case 0 if numbers:
            i = rng.randrange(len(numbers))
            step = rng.choice([-8, -1, 1, 4, 8, 2**63, 2**64 - 1])
            numbers[i] = str(int(numbers[i]) + step) if numbers[i].isdigit() else "0"
        case 1:
            numbers.reverse()
        case 2 if numbers:
            numbers[rng.randrange(len(numbers))] = rng.choice(NUMBERS)
        case 3:
            numbers.append(rng.choice(NUMBERS))
        case _:
            numbers = numbers[:1]
    entry.set("data_offsets", "[" + ",".join(numbers) + "]")


def change_shape(rng: random.Random, case: Case) -> None:
    entry = _entry(rng, case)
    numbers = _numbers(entry.get("shape"))
    match rng.randrange(5):
        case 0 if numbers:
            numbers[rng.randrange(len(numbers))] = rng.choice(NUMBERS)
        case 1:
            numbers.insert(rng.randint(0, len(numbers)), rng.choice(NUMBERS))
        case 2:  # products that overflow, before or after a zero
            numbers = rng.choices(["0", "4294967296", "4294967297", "9223372036854775807",
                                   "18446744073709551615", "2", "3", "1152921504606846976"],
                                  k=rng.randint(1, 4))  # fmt: skip
        case 3:
            numbers = numbers + ["1"] * rng.choice([1, 2, 60, 64, 65, 70])
        case _ if numbers:
            numbers.pop()
    entry.set("shape", "[" + ",".join(numbers) + "]")


def change_dtype(rng: random.Random, case: Case) -> None:
    value = json.dumps(rng.choice(DTYPES))
    if rng.random() < 0.2:
        value = rng.choice(
            ['{"U8":null}', "4", "null", '["U8"]', '{"U8":{}}', '{"U8":null,"I8":null}']
        )
    _entry(rng, case).set("dtype", value)


def duplicate(rng: random.Random, case: Case) -> None:
    entry = _entry(rng, case)
    match rng.randrange(3):
        case 0:  # the same member again
            case.entries.insert(
                rng.randint(0, len(case.entries)), Entry(entry.key, list(entry.fields))
            )
        case 1:  # the same key with other content
            case.entries.append(Entry(entry.key, list(_entry(rng, case).fields)))
        case _ if entry.fields:  # a field twice
            entry.fields.insert(rng.randint(0, len(entry.fields)), rng.choice(entry.fields))


def change_fields(rng: random.Random, case: Case) -> None:
    entry = _entry(rng, case)
    match rng.randrange(5):
        case 0 if entry.fields:
            entry.fields.pop(rng.randrange(len(entry.fields)))
        case 1:
            depth = rng.choice([1, 2, 50, 126, 127, 128, 200])
            value = rng.choice(["1", "null", '"x"', "1e400", "[" * depth + "]" * depth, '{"a":{}}'])
            entry.fields.append((rng.choice(['"x"', '"Dtype"', '"dtype "', '"data"']), value))
        case 2 if entry.fields:  # the same key in other letters: escapes must not hide it
            i = rng.randrange(len(entry.fields))
            key, value = entry.fields[i]
            entry.fields[i] = (key.replace("a", "\\u0061").replace("d", "\\u0064"), value)
        case 3:
            seq = ",".join(v for _, v in entry.fields)
            entry.raw = rng.choice(["null", "[]", "{}", "1", '"x"', f"[{seq}]", "true"])
        case _:
            rng.shuffle(entry.fields)


def change_names(rng: random.Random, case: Case) -> None:
    entry = _entry(rng, case)
    entry.key = rng.choice([
        '"__metadata__"', '""', '"\\ud800"', '"\\ud83d\\ude00"', '"\\x41"', "'a'", "a", '"\ud800"',
        '"a\\u0000b"', json.dumps("n" * rng.choice([10, 4096, 4097, 10000])), '"\t"', '"\\/"',
    ])  # fmt: skip


def change_metadata(rng: random.Random, case: Case) -> None:
    raw = rng.choice([
        None, "null", "[]", "{}", '{"a":1}', '{"a":null}', '{"a":"b"}', '{"a":"b","a":"c"}', '"x"',
        '{"a":{"b":"c"}}', '{"dtype":"U8","shape":"x","data_offsets":"y"}', '{"a":["b"]}', "1",
    ])  # fmt: skip
    case.entries.insert(rng.randint(0, len(case.entries)), Entry('"__metadata__"', [], raw))


def change_frame(rng: random.Random, case: Case) -> None:
    match rng.randrange(5):
        case 0:
            case.prefix = rng.choice([b" ", b"\n\t", b"\xef\xbb\xbf", b"\0", b"\xc2\xa0", b"//x\n"])
        case 1:
            case.suffix = rng.choice(
                [b" ", b"       ", b"\0", b"\0\0", b"{}", b",", b"\n", b"x", b"\xff"]
            )
        case 2:
            case.length_change = rng.choice([-1, 1, 8, -8, 2**32, -(2**40), 2**63, 10**8, 100])
        case 3:
            case.data += bytes(rng.choice([1, 2, 4, 8]))
        case _:
            case.data = case.data[: -rng.choice([1, 2, 4])]


def change_bytes(rng: random.Random, case: Case) -> None:
    seed = rng.random()

    def edit(header: bytearray) -> None:
        local = random.Random(seed)
        for _ in range(local.choice([1, 1, 1, 2, 4])):
            at = local.randint(0, len(header) - 1) if header else 0
            match local.randrange(4):
                case 0 if header:
                    header[at] = local.randrange(256)
                case 1:
                    header.insert(at, local.choice(b'{}[]",:0123456789-+.eE \n\t\\/\x00\xff\xc3n'))
                case 2 if header:
                    del header[at]
                case _:
                    end = min(len(header), at + local.randint(1, 12))
                    header[at:at] = header[at:end]

    case.edits.append(edit)


MUTATIONS: list[Callable[[random.Random, Case], None]] = [
    change_offsets, change_shape, change_dtype, duplicate, change_fields, change_names,
    change_metadata, change_frame, change_bytes,
]  # fmt: skip


def mutated(rng: random.Random) -> tuple[bytes, tuple[str, ...]]:
    """A file with up to three mutations, and their names; one in thirty is left valid."""
    case = valid(rng)
    chosen = rng.choices(MUTATIONS, k=rng.choices([0, 1, 2, 3], [1, 18, 8, 3])[0])
    for mutation in chosen:
        mutation(rng, case)
    return case.bytes(), tuple(m.__name__ for m in chosen)
