"""Time to the first word of a conversation's turns, with what was read before kept and without.

Random weights of Qwen2.5-0.5B's shape (stored in bfloat16), a chat of ten turns of about 60 tokens
and answers of 24: each turn as `Conversation` reads it, and as a generation reads all of it. The
limit is the time to read the new tokens alone, in the same run. Both say the same words.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from bench_commit import SHAPES, write_checkpoint
from measuring import machine

TURNS, ASKED, ANSWERED = 10, 60, 24


def first_word(model: Any, text: list[int], read: Any) -> tuple[float, int, list[int]]:
    """Seconds to the first word of an answer, tokens not read again, and the whole answer."""
    from lenswright.generating.generate_methods import go_on

    start = time.perf_counter()
    decoding = go_on(model, torch.tensor([text]), read, max_new_tokens=ANSWERED, stop_at_eos=False)
    chunks = iter(decoding)
    said = [next(chunks)[0].ids[0]]
    seconds = time.perf_counter() - start
    said += [chunk[0].ids[0] for chunk in chunks]
    return seconds, decoding.reused, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="conversations (default 3)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    import lenswright as lw
    from lenswright import _core

    found: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder) / "stored", SHAPES, True)
        model = lw.load(Path(folder) / "stored", dtype="float32")
        print(machine())
        for _ in range(arguments.rounds):
            read, text = _core.ReadText(), []
            for turn in range(1, TURNS + 1):
                new = torch.randint(0, model.cfg.d_vocab, (ASKED,)).tolist()
                text += new
                kept, reused, said = first_word(model, text, read)
                whole, _, same = first_word(model, text, None)
                alone, _, _ = first_word(model, text[reused:], None)
                assert said == same, "the words differ"
                for name, seconds in (("kept", kept), ("whole", whole), ("limit", alone)):
                    found.setdefault((turn, name), []).append(seconds)
                text += said
    print(f"{'turn':>4} {'kept ms':>9} {'all read ms':>12} {'new alone ms':>13} {'ratio':>6}")
    for turn in range(1, TURNS + 1):
        kept, whole, limit = (
            1e3 * statistics.median(found[turn, n]) for n in ("kept", "whole", "limit")
        )
        print(f"{turn:4} {kept:9.1f} {whole:12.1f} {limit:13.1f} {kept / whole:6.2f}")
    print(machine())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
