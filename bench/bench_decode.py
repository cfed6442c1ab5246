"""Decoding, and what surrounds it, against `transformers` (sdpa, key-value cache), in one process.

Decoding: greedy continuations of prompts of one token, so that every step is a decoding step, at
batch 1 and 16, on random weights of GPT-2-small's, Qwen2.5-0.5B's and a small mixture's shapes.
float32 means stored and computed; bfloat16 means stored: ours widens it in registers and computes
in float32. Beside it stand the bytes of weights read a second, the machine's read rate of the same
run, and the bound: reading all weights once or multiplying by them, whichever takes longer.
Prefill: the same weights stored in bfloat16 and in float32, both by ours.
Overhead: six tokens through a model of 656 thousand weights (--tiny names its folder).
Every round runs each piece once; ratios are of the same round, below 1 is faster than the other.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench_commit import SHAPES, write_checkpoint
from bench_forward import write_gpt2
from bench_peers import write_mixture
from measuring import Row, Times, Work, gemm_rate, interleaved, read_rate, run_parts, show

BATCHES = (1, 16)


def peer_of(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    peer = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    peer.generation_config.eos_token_id = None  # random weights: every text has its full length
    peer.generation_config.pad_token_id = 0
    return peer.eval()


def write_qwen(folder: Path) -> Path:
    """Qwen2.5-0.5B's shape under `folder`: in bfloat16, "stored", and in float32, "wide"."""
    write_checkpoint(folder / "stored", SHAPES, True)
    peer_of(folder / "stored", torch.float32).save_pretrained(folder / "wide")
    return folder / "wide"


def weight_bytes(model: Any) -> int:
    """Bytes a decoding step reads: every weight, an embedding only where it is the unembedding."""
    tensors = {t.data_ptr(): t for t in model.weights().values()}.values()
    return sum(t.numel() * t.element_size() for t in tensors)


def decoding(model: Any, peer: Any, x: torch.Tensor, tokens: int) -> dict[str, Work]:
    def ours(batch: int) -> Work:
        return lambda: model.generate(
            x[:batch], max_new_tokens=tokens, stop_at_eos=False, return_type="tokens"
        )

    def theirs(batch: int) -> Work:
        return lambda: peer.generate(
            x[:batch], attention_mask=torch.ones_like(x[:batch]), max_new_tokens=tokens,
            do_sample=False, use_cache=True,
        )  # fmt: skip

    works: dict[str, Work] = {f"ours {batch}": ours(batch) for batch in BATCHES}
    return works | {f"peer {batch}": theirs(batch) for batch in BATCHES}


def show_rates(model: Any, times: Times, tokens: int) -> float:
    """Prints tokens and bytes a second; returns the share of the read rate at batch 1."""
    rate, size, products = read_rate(), weight_bytes(model), gemm_rate(512, 896, 4864)
    numbers = sum(t.numel() for t in model.weights().values())
    dense = not any(layer["mixture"] for layer in model.spec["layers"])  # which reads all of them
    for name, seconds in times.items():
        step = statistics.median(seconds) / tokens
        batch = int(name.split()[1])
        line = f"{name:8}{batch / step:9.1f} tokens/s {1e3 * step:8.1f} ms a step"
        if name.startswith("ours") and dense:
            line += f" {1e-9 * size / step:6.1f} GB/s of weights (memory: {rate:.1f})"
            # Whichever takes longer, were the other hidden behind it.
            bound = 1e-9 * max(size / rate, 2 * numbers * batch / products)
            line += f"; {bound / step:.0%} of the bound {1e3 * bound:.1f} ms"
        print(line)
    return 1e-9 * size * tokens / statistics.median(times["ours 1"]) / rate


def decode(
    folder: Path, dtype: torch.dtype, title: str, arguments: argparse.Namespace
) -> list[str]:
    """Ours computes in float32 from what is stored; `transformers` in `dtype`."""
    import lenswright as lw

    model, peer = lw.load(folder, dtype="float32"), peer_of(folder, dtype)
    x = torch.randint(0, model.cfg.d_vocab, (max(BATCHES), 1))
    works = decoding(model, peer, x, arguments.tokens)
    if dtype == torch.float32:
        check_same(model, peer, x)
    times = interleaved(works, arguments.rounds)
    missed = show(title, times, [
        Row("batch 1: ours / transformers", "ours 1", "peer 1", 1 / 1.3),
        Row("batch 16: ours / transformers", "ours 16", "peer 16", 1 / 3),
    ])  # fmt: skip
    share = show_rates(model, times, arguments.tokens)
    if not any(layer["mixture"] for layer in model.spec["layers"]):
        print(f"batch 1 reads weights at {share:.2f} of the memory's rate")
    if dtype == torch.bfloat16 and share < 0.8:
        missed.append("bfloat16 decoding at 0.8 of the memory's rate")
    return missed


def check_same(model: Any, peer: Any, x: torch.Tensor) -> None:
    """A fast wrong answer is no answer."""
    ours, theirs = model(x), peer(x).logits
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"logits agree to {error:.1e} relative")
    assert error < 1e-4, error


def gpt2(folder: Path, arguments: argparse.Namespace) -> list[str]:
    write_gpt2(folder / "gpt2", 12)
    return decode(folder / "gpt2", torch.float32, "GPT-2-small's shape, float32", arguments)


def qwen(folder: Path, arguments: argparse.Namespace) -> list[str]:
    return decode(write_qwen(folder), torch.float32, "Qwen2.5-0.5B's shape, float32", arguments)


def qwen_bfloat16(folder: Path, arguments: argparse.Namespace) -> list[str]:
    write_checkpoint(folder / "stored", SHAPES, True)
    title = "Qwen2.5-0.5B's shape, bfloat16"
    return decode(folder / "stored", torch.bfloat16, title, arguments)


def mixture(folder: Path, arguments: argparse.Namespace) -> list[str]:
    write_mixture(folder / "mixture")
    return decode(folder / "mixture", torch.float32, "A small mixture's shape, float32", arguments)


def prefill(folder: Path, arguments: argparse.Namespace) -> list[str]:
    import lenswright as lw

    write_qwen(folder)
    narrow, wide = (lw.load(folder / name, dtype="float32") for name in ("stored", "wide"))
    works: dict[str, Work] = {}
    rows = []
    for length in (128, 512):
        x = torch.randint(0, narrow.cfg.d_vocab, (1, length))
        for name, model in (("bfloat16", narrow), ("float32", wide)):
            works[f"{name} {length}"] = forward(model, x)
        rows.append(Row(f"{length} tokens: bfloat16 / float32", f"bfloat16 {length}",
                        f"float32 {length}", 1 / 0.9))  # fmt: skip
    times = interleaved(works, arguments.rounds)
    return show("Prefill, Qwen2.5-0.5B's shape, by what is stored", times, rows)


def forward(model: Any, x: torch.Tensor) -> Callable[[], object]:
    return lambda: model(x, logits_at="last")


def overhead(folder: Path, arguments: argparse.Namespace) -> list[str]:
    import lenswright as lw

    if arguments.tiny is None:
        print("\noverhead: left out, --tiny names no folder")
        return []
    model, peer = lw.load(arguments.tiny, dtype="float32"), peer_of(arguments.tiny, torch.float32)
    x = torch.randint(3, model.cfg.d_vocab, (1, 6))
    check_same(model, peer, x)

    def often(work: Work) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                work()

        return run

    works: dict[str, Work] = {
        "ours": often(lambda: model(x)),
        "peer": often(lambda: peer(x, use_cache=False).logits),
    }
    times = interleaved(works, 3 * arguments.rounds)
    return show("Overhead: 20 times 6 tokens through 656 thousand weights", times,
                [Row("forward: ours / transformers", "ours", "peer", 1 / 5)])  # fmt: skip


PARTS = {
    "gpt2": gpt2,
    "qwen": qwen,
    "qwen-bfloat16": qwen_bfloat16,
    "mixture": mixture,
    "prefill": prefill,
    "overhead": overhead,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default 9)")
    parser.add_argument("--tokens", type=int, default=8, help="decoding steps of a piece")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tiny", type=Path, help="folder of TinyStories-656K")
    parser.add_argument("--only", choices=PARTS, action="append", help="parts to run")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return run_parts(PARTS, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
