"""Ours against the reference implementation of safetensors (Rust) on mutated files.

    python tests/fuzz/differential.py [COUNT] [SEED]

Exit code 0: never laxer than the reference, stricter only in the classes that csrc/io/safetensors.h
lists, and the same tensors wherever both accept.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

import safetensors
from mutate import mutated

from lenswright import _files

STRICTER = {"duplicate", "limit", "overflow", "form"}


class Disagreement(Exception):
    """Ours took what the reference refuses, refused without a listed reason, or read otherwise."""


def theirs(data: bytes) -> list[tuple[str, dict]] | None:
    """What the reference reads, or None where it refuses."""
    try:
        return safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return None


def judge(data: bytes) -> str:
    """Compare both on one file; the verdict as a word, Disagreement where they may not differ."""
    reference = theirs(data)
    try:
        header = _files.parse_header(data)
    except _files.CheckpointError as error:
        if reference is None:
            return f"both refuse: {error.flaw}"
        if error.flaw not in STRICTER:
            raise Disagreement(f"refused without a listed reason: {error}") from error
        return f"stricter: {error.flaw}"
    if reference is None:
        raise Disagreement("laxer than the reference")
    ours = {t.name: (t.dtype, list(t.shape), data[t.begin : t.end]) for t in header.tensors}
    same = {n: (t["dtype"], t["shape"], bytes(t["data"])) for n, t in reference}
    if ours != same:
        raise Disagreement(f"read differently: {ours} and {same}")
    return "both accept"


def run(count: int, seed: int, limit: int = 20) -> tuple[Counter[str], list[str]]:
    """Judge `count` mutated files; how often each verdict came, and up to `limit` disagreements."""
    rng = random.Random(seed)
    verdicts: Counter[str] = Counter()
    wrong: list[str] = []
    for _ in range(count):
        data, mutations = mutated(rng)
        try:
            verdicts[judge(data)] += 1
        except Disagreement as error:
            wrong.append(f"{error}; mutations {mutations}; bytes {data!r}")
            if len(wrong) >= limit:
                break
    return verdicts, wrong


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    start = time.monotonic()
    verdicts, wrong = run(count, seed)
    for verdict, times in sorted(verdicts.items()):
        print(f"{times:9,}  {verdict}")
    seconds = time.monotonic() - start
    print(f"{sum(verdicts.values()):9,}  files against safetensors {safetensors.__version__}, "
          f"seed {seed}, {seconds:.0f} s; disagreements: {len(wrong)}")  # fmt: skip
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
