"""The neighbours beside us: forward and capture with whichever of them are installed.

TransformerLens 4 (`TransformerBridge`), nnsight and interp-engine run the same random weights in
float32, in one process and in turns with us and plain `transformers`. What is not installed is
named and left out; none of them is needed by anything else here.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_forward import write_gpt2
from measuring import Row, Work, interleaved, machine, show

PLAIN = "transformers"


def write_qwen(folder: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)


def write_mixture(folder: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    config = MixtralConfig(
        hidden_size=512, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=4, num_local_experts=8, num_experts_per_tok=2, vocab_size=32000,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(folder)


@dataclass(frozen=True)
class Shape:
    title: str
    write: Callable[[Path], None]
    vocabulary: int
    batch: tuple[int, int]


SHAPES = {
    "gpt2": Shape("GPT-2-small's shape", lambda folder: write_gpt2(folder, 12), 50257, (8, 128)),
    "qwen": Shape("Qwen2.5-0.5B's shape", write_qwen, 151936, (1, 128)),
    "mixture": Shape("8 layers of 8 experts, 2 chosen", write_mixture, 32000, (4, 128)),
}


def write_tokenizer(folder: Path, vocabulary: int) -> None:
    """The neighbours ask for one; nobody tokenizes here."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"<{i}>": i for i in range(vocabulary)}
    plain = Tokenizer(models.WordLevel(words, unk_token="<0>"))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<0>", eos_token="<1>", bos_token="<1>", pad_token="<1>"
    )
    fast.save_pretrained(folder)


def ours(folder: Path, x: torch.Tensor) -> dict[str, Work]:
    import lenswright as lw

    model = lw.load(folder, dtype="float32")
    return {
        "forward": lambda: model(x),
        "resid_post": lambda: model.run_with_cache(x, "resid_post"),
        "all": lambda: model.run_with_cache(x),
    }


def plain(folder: Path, x: torch.Tensor) -> dict[str, Work]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    return {"forward": lambda: model(x, use_cache=False).logits}


def bridge(folder: Path, x: torch.Tensor) -> dict[str, Work]:
    from transformer_lens.model_bridge import TransformerBridge

    model = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    return {
        "forward": lambda: model(x),
        "resid_post": lambda: model.run_with_cache(
            x, names_filter=lambda name: name.endswith("hook_resid_post")
        ),
        "all": lambda: model.run_with_cache(x),
    }


def nnsight(folder: Path, x: torch.Tensor) -> dict[str, Work]:
    import nnsight
    from nnsight import TransformersModel

    model: Any = TransformersModel(
        str(folder), task="text-generation", device_map="cpu", dispatch=True, dtype=torch.float32
    )

    gpt2 = hasattr(model, "transformer")

    def resid_post() -> object:
        with model.trace(x):
            layers = model.transformer.h if gpt2 else model.model.layers
            kept = nnsight.save([layer.output[0] for layer in layers])
        return kept

    return {"resid_post": resid_post}


def interp_engine(folder: Path, x: torch.Tensor) -> dict[str, Work]:
    from interp_engine import Address, capture, load_model
    from transformers import AutoConfig

    model = load_model(str(folder), device="cpu", dtype="float32")
    layers = AutoConfig.from_pretrained(folder).num_hidden_layers
    wanted = [Address("resid_post", layer) for layer in range(layers)]
    return {"resid_post": lambda: capture(model, x, wanted)}


PEERS: dict[str, tuple[str, Callable[[Path, torch.Tensor], dict[str, Work]]]] = {
    "TransformerLens": ("transformer_lens", bridge),
    "nnsight": ("nnsight", nnsight),
    "interp-engine": ("interp_engine", interp_engine),
}


def rows_of(work: dict[str, Work]) -> list[Row]:
    limits = {"forward": 1.02, "resid_post": 1.02, "all": 1.1}
    reference = f"{PLAIN}: forward"
    return [
        Row(
            f"{name} / transformers' forward",
            name,
            reference,
            limits[name.split(": ")[1]] if name.startswith("ours") else None,
        )
        for name in work
        if name != reference
    ]


def compare(shape: Shape, found: list[str], rounds: int) -> list[str]:
    """The table of one shape; the names of the rows beyond their limit."""
    folder = Path(tempfile.mkdtemp(prefix="bench_peers_"))
    try:
        shape.write(folder)
        write_tokenizer(folder, shape.vocabulary)
        chance = torch.Generator().manual_seed(1)
        x = torch.randint(0, shape.vocabulary, shape.batch, generator=chance)
        makers = {"ours": ours, PLAIN: plain} | {name: PEERS[name][1] for name in found}
        work = {
            f"{who}: {what}": do
            for who, make in makers.items()
            for what, do in make(folder, x).items()
        }
        times = interleaved(work, rounds)
        size = f"{shape.batch[0]} x {shape.batch[1]}"
        return show(f"{shape.title}, {size}, float32", times, rows_of(work))
    finally:
        shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default 15)")
    parser.add_argument("--only", nargs="*", choices=list(PEERS), help="some of the neighbours")
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), help="some of the shapes")
    arguments = parser.parse_args()
    chosen = list(PEERS) if arguments.only is None else arguments.only
    found = [name for name in chosen if importlib.util.find_spec(PEERS[name][0])]
    print(f"not installed: {', '.join(set(chosen) - set(found)) or 'none'}")
    missed = []
    with torch.no_grad():
        for name in arguments.shapes or SHAPES:
            print(machine())
            missed += [f"{name}: {row}" for row in compare(SHAPES[name], found, arguments.rounds)]
    print(machine())
    print(f"\nmissed: {'; '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
