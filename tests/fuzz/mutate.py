"""Mutations of valid safetensors files, which know the format."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from pieces import BITS, Case, Entry, valid

NUMBERS = [
    "0", "1", "2", "7", "8", "9", "63", "64", "255", "4294967296", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", "-1", "-0", "1.0", "1e0",
    "0.0", "01", "+1", "0x1", "null", "true", '"1"', "[]", "{}", "[1]", "1e400", "NaN", "", "1 ",
]  # fmt: skip
DTYPES = [*BITS, "f32", "F33", "", "Bool", "F8", "BF", "U128", "F8_E4M3FN", "F4 ", "U8\u0000"]


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
