"""Measuring an edit: the products it makes a second, of what the machine makes.

`lw.measure` with a score, on random float32 weights of Qwen2.5-0.5B's shape: prompts of 8 to 22
words in a template of 29 tokens, half of each class. Counted are the products of every token that
is run and of every token whose logits are wanted, before and after: a score's continuations, the
greedy answers (a token at a time), and the answers again for their divergences. The reference is a
product of 1,024 rows in the same process, before and after.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from bench_selection import qwen, splits_of
from measuring import gemm_rate, machine


def flop_of_measure(model: Any, prompts: Any, new_tokens: int) -> float:
    """FLOP of the products of both outcomes."""
    cfg = model.cfg
    kv = cfg.n_key_value_heads * cfg.d_head
    token = 2 * cfg.n_layers * cfg.d_model * (2 * cfg.d_model + 2 * kv + 3 * cfg.d_mlp)
    head = 2 * cfg.d_model * cfg.d_vocab
    sides = [model.prompt_tokens([p.text for p in side])
             for side in (prompts.positive, prompts.negative)]  # fmt: skip
    lengths = [sum(map(len, side)) for side in sides]
    rows, quiet = sum(map(len, sides)), len(sides[1])
    scored = sum(lengths) * token + rows * head
    spoken = (sum(lengths) + rows * (new_tokens - 1)) * token + rows * new_tokens * head
    answered = (lengths[1] + quiet * (new_tokens - 1)) * token + 2 * quiet * new_tokens * head
    return 2.0 * (scored + spoken + answered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--prompts", type=int, default=800, help="of both classes together (default 800)")
    add("--tokens", type=int, default=4, help="of each answer (default 4)")
    add("--batch", type=int, default=64, help="prompts at a time (default 64)")
    add("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    import lenswright as lw

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="bench_measuring_") as folder:
        print(machine())
        model = lw.load(qwen(Path(folder)), dtype="float32")
        prompts = splits_of(arguments.prompts // 2).test
        edit = lw.edits.ablate(model, torch.randn(model.cfg.d_model))
        score = lw.directions.TokenLogOdds(["w5"], ["w8"])
        model("w1 w2")  # what a first run sets up
        rates = [gemm_rate(1024, 896, 4864)]
        start = time.perf_counter()
        report = lw.measure(
            model, edit, prompts, score=score, null=0, max_new_tokens=arguments.tokens,
            batch_size=arguments.batch, judges={"said": lambda prompt, text: True}, progress=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        rates.append(gemm_rate(1024, 896, 4864))
    lengths = {e["name"]: e["after"] for e in report.data["effects"] if e["unit"] == "tokens"}
    assert all(length == arguments.tokens for length in lengths.values()), lengths
    flop = flop_of_measure(model, prompts, arguments.tokens)
    reached, rate = flop / seconds / 1e9, sum(rates) / 2
    print(f"{arguments.prompts} prompts, {arguments.tokens} tokens an answer: {flop / 1e12:.1f} "
          f"TFLOP in {seconds:.1f} s")  # fmt: skip
    print(f"{'':24}{'GFLOP/s':>10}")
    print(f"{'ours':24}{reached:10.0f}")
    print(f"{'products':24}{rate:10.0f}   at {rates[0]:.0f} and {rates[1]:.0f}")
    verdict = "reached" if reached >= 0.6 * rate else "MISSED"
    print(f"share {reached / rate:.2f} (limit 0.60): {verdict}")
    print(machine())
    return 0 if verdict == "reached" else 1


if __name__ == "__main__":
    raise SystemExit(main())
