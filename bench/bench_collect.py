"""Collecting statistics against one pass of `transformers` over the same prompts, without logits.

Qwen2.5-0.5B's or GPT-2-small's shape with random weights in float32; prompts of 64 random words, a
token each, texts and tokenizer included in our time. Every round runs each piece of work once;
ratios are of the same round.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from bench_decode import write_qwen
from bench_forward import write_gpt2
from measuring import CLOCKS, Row, Work, interleaved, machine, show

WORDS, LENGTH, BATCH = 2000, 64, 32
EVERYTHING = ("mean", "variance", "covariance", "norms", "extremes", "quantiles", "histogram")


def write_small(folder: Path) -> Path:
    write_gpt2(folder, 12)
    return folder


WRITE = {"gpt2": write_small, "qwen": write_qwen}


def add_words(folder: Path) -> None:
    """A tokenizer of whole words beside the checkpoint."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(WORDS)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "w0"}))


def make_prompts(count: int) -> Any:
    from lenswright.prompting.prompts import Prompt, PromptSet

    draw = random.Random(0)
    texts = [" ".join(f"w{draw.randrange(WORDS)}" for _ in range(LENGTH)) for _ in range(count)]
    made = [Prompt(text) for text in texts]
    return PromptSet("fit", made[: count // 2], made[count // 2 :])


def works(model: Any, peer: Any, prompts: Any) -> dict[str, Work]:
    tokens = torch.tensor(model.prompt_tokens([prompt.text for prompt in prompts]))

    def plain() -> None:
        for batch in tokens.split(BATCH):
            peer.base_model(batch, use_cache=False)

    def collected(positions: Any, what: Any, deterministic: bool = False) -> Work:
        return lambda: model.collect(
            prompts, points="resid_pre", positions=positions, what=what, batch_size=BATCH,
            deterministic=deterministic, progress=False,
        )  # fmt: skip

    return {
        "peer": plain,
        "last": collected("last", ("mean",)),
        "last, deterministic": collected("last", ("mean",), True),
        "all": collected("all", ("mean", "variance")),
        "covariance": collected("last", ("mean", "variance", "covariance")),
        "covariance, all": collected("all", ("mean", "covariance")),
        "everything": collected("last", EVERYTHING),
    }


ROWS = [
    Row("means of last tokens / transformers", "last", "peer", 1.05),
    Row("the same, deterministic", "last, deterministic", "peer", None),
    Row("means and variances of all tokens", "all", "peer", None),
    Row("covariances of last tokens", "covariance", "peer", None),
    Row("covariances of all tokens", "covariance, all", "peer", None),
    Row("everything but samples of last tokens", "everything", "peer", None),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--prompts", type=int, default=256, help="prompts (default 256)")
    parser.add_argument("--shape", choices=WRITE, default="gpt2", help="(default gpt2)")
    parser.add_argument("--means", action="store_true", help="nothing but means of last tokens")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work = Path(tempfile.mkdtemp(prefix="bench_collect_"))
    try:
        from transformers import AutoModelForCausalLM

        import lenswright as lw

        print(machine())
        folder = WRITE[arguments.shape](work)
        add_words(folder)
        model = lw.load(folder, dtype="float32")
        peer = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        rows = ROWS[:2] if arguments.means else ROWS
        wanted = {name for row in rows for name in (row.ours, row.reference)}
        with torch.no_grad():
            pieces = works(model, peer, make_prompts(arguments.prompts))
            pieces = {name: work for name, work in pieces.items() if name in wanted}
            times = interleaved(pieces, arguments.rounds, arguments.clock)
        title = f"{arguments.shape}, {arguments.prompts} prompts of {LENGTH} tokens, every layer"
        return 1 if show(title, times, rows) else 0
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    raise SystemExit(main())
