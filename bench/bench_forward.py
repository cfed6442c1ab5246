"""Forward and capture against `transformers` on the same random weights, in one process.

GPT-2-small's shape at 8 x 128 in float32: every residual point without logits, the forward with
logits, capture at a layer, taps. Then Qwen2.5-0.5B's shape at 1 x 128, stored in bfloat16: ours
computes in float32 from the mapped file, `transformers` from weights it has widened beforehand.
Every round runs each of them once; ratios are of the same round.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench_commit import SHAPES, write_checkpoint
from measuring import CLOCKS, Row, Work, interleaved, machine, show

RESIDUAL = ["resid_pre", "resid_mid", "resid_post"]


def write_gpt2(folder: Path, layers: int) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, n_head=12, n_embd=768, n_positions=1024, vocab_size=50257)
    GPT2LMHeadModel(config).save_pretrained(folder)


def works(model: Any, peer: Any, x: torch.Tensor, layers: list[int]) -> dict[str, Work]:
    """The pieces of work of one round, by name."""
    deepest = model.cfg.n_layers

    def empty_hooks() -> object:
        with model.hooks([]):
            return model(x, stop_at_layer=deepest)

    def capture_at(layer: int) -> Callable[[], object]:
        return lambda: model.capture(x, f"blocks.{layer - 1}.hook_resid_post")

    return {
        "peer": lambda: peer(x, use_cache=False).logits,
        "peer, no logits": lambda: peer.base_model(x, use_cache=False)[0],
        "residuals": lambda: model.capture(x, RESIDUAL),
        "logits": lambda: model(x),
        "no logits": lambda: model(x, stop_at_layer=deepest),
        "empty hooks": empty_hooks,
    } | {f"at {layer}": capture_at(layer) for layer in layers}


def rows(layers: list[int], deepest: int, promised: bool) -> list[Row]:
    """The table: limits against `transformers` are promised for GPT-2-small's shape."""
    limit = (0.65, 1.02, 1.02) if promised else (None, None, None)
    shares = [
        Row(f"capture at layer {layer} / forward without logits", f"at {layer}", "no logits",
            layer / deepest + 0.05)
        for layer in layers
    ]  # fmt: skip
    return [
        Row("every residual point / transformers", "residuals", "peer", limit[0]),
        Row("every residual point / tr. without unembedding", "residuals", "peer, no logits",
            limit[1]),
        Row("with logits / transformers", "logits", "peer", limit[2]),
        *shares,
        Row("taps at every residual point / none", "residuals", "no logits", 1.02),
        Row("empty hooks / none", "empty hooks", "no logits", 1.02),
    ]  # fmt: skip


def check_same(model: Any, peer: Any, x: torch.Tensor) -> None:
    """A fast wrong answer is no answer."""
    ours, theirs = model(x), peer(x, use_cache=False).logits
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"logits agree to {error:.1e} relative")
    assert error < 1e-4, error


def compare(
    folder: Path, shape: tuple[int, int], layers: list[int], arguments: argparse.Namespace,
    promised: bool, title: str,
) -> list[str]:  # fmt: skip
    from transformers import AutoModelForCausalLM

    import lenswright as lw

    model = lw.load(folder, dtype="float32")
    peer = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    torch.manual_seed(1)
    x = torch.randint(0, model.cfg.d_vocab, shape)
    check_same(model, peer, x)
    times = interleaved(works(model, peer, x, layers), arguments.rounds, arguments.clock)
    return show(title, times, rows(layers, model.cfg.n_layers, promised))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default 15)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: processor seconds, for a busy machine with --threads 1",
    )
    parser.add_argument("--only", choices=("gpt2", "qwen"), help="one of the two shapes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work = Path(tempfile.mkdtemp(prefix="bench_forward_"))
    missed: list[str] = []
    try:
        with torch.no_grad():
            print(machine())
            if arguments.only != "qwen":
                write_gpt2(work / "gpt2", 12)
                missed += compare(work / "gpt2", (8, 128), [3, 6, 9, 12], arguments, True,
                                  "GPT-2-small's shape, 8 x 128, float32")  # fmt: skip
                print(machine())
            if arguments.only != "gpt2":
                write_checkpoint(work / "qwen", SHAPES, True)
                missed += compare(work / "qwen", (1, 128), [6, 12, 18, 24], arguments, False,
                                  "Qwen2.5-0.5B's shape, 1 x 128, bfloat16 in the file, float32 "
                                  "computed")  # fmt: skip
                print(machine())
    finally:
        shutil.rmtree(work)
    print(f"\nmissed: {'; '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
