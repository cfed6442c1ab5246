"""Directions, edits in memory and saved edits beside heretic's and peft's own ways.

Random weights of Qwen2.5-0.5B's shapes in bfloat16, prompts of 22 words, a token each, one process,
in turns. Directions: means of both classes at every layer, after the last token. In memory: an edit
of every attention and MLP output, made for a direction and put into the weights; heretic's is its
own default, an adapter of rank 3 a matrix. Saved: a new folder with the edit in it; peft merges an
adapter of rank 1 and saves. What is not installed is named and left out; nothing else needs it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from bench_collect import add_words
from bench_commit import SHAPES, write_checkpoint
from measuring import Times, Work, interleaved, machine, ratio

WORDS, LENGTH, BATCH, LAYERS = 2000, 22, 32, 24
CHAT = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"


def write_model(folder: Path) -> None:
    """The checkpoint, with whole words for tokens and a template that adds nothing."""
    write_checkpoint(folder, SHAPES, tied=True)
    add_words(folder)
    # Of Llama's layout: for Qwen's own, transformers insists on Qwen's own tokenizer.
    of_tokenizer = {"tokenizer_class": "TokenizersBackend", "chat_template": CHAT}
    for token in ("bos", "eos"):
        of_tokenizer[f"{token}_token"] = "w0"
    (folder / "tokenizer_config.json").write_text(json.dumps(of_tokenizer))


def texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(WORDS)}" for _ in range(LENGTH)) for _ in range(count)]


def our_works(folder: Path, count: int, direction: torch.Tensor, into: Path) -> dict[str, Work]:
    import lenswright as lw
    from lenswright.prompting.prompts import Prompt, PromptSet

    model = lw.load(folder)
    prompts = PromptSet("fit", *([Prompt(t) for t in texts(count, seed)] for seed in (0, 1)))

    def directions() -> object:
        found = model.collect(
            prompts, points="resid_post", positions="last", batch_size=BATCH, progress=False
        )
        return lw.directions.difference_of_means(found)

    def ablation() -> Any:
        return lw.edits.ablate(model, direction, writers=["attention", "mlp"])

    def in_memory() -> None:
        ablation().apply(model)

    def taken_back() -> None:
        ablation().revert(model)

    def saved() -> None:
        shutil.rmtree(into, ignore_errors=True)
        ablation().commit(folder, into, progress=False)

    def applied() -> None:
        in_memory()
        taken_back()

    return {"directions": directions, "in memory, and back": applied, "saved": saved}


class Heretic:
    """heretic's own classes on a local folder; its prompts are files of lines."""

    def __init__(self, folder: Path, dtype: str, direction: torch.Tensor) -> None:
        sys.argv = sys.argv[:1]  # its settings read the command line
        from heretic.config import Settings
        from heretic.model import AbliterationParameters, Model
        from heretic.utils import Prompt

        self.model = Model(Settings(model=str(folder), dtypes=[dtype], batch_size=BATCH, seed=0))
        self.prompt = Prompt
        self.directions = direction.expand(LAYERS + 1, -1).contiguous()
        self.parameters = {
            part: AbliterationParameters(1.0, LAYERS - 1, 1.0, LAYERS)
            for part in self.model.get_abliterable_components()
        }

    def residuals(self, count: int) -> None:
        for seed in (0, 1):
            self.model.get_residuals_mean(
                [self.prompt(system="", user=text) for text in texts(count, seed)]
            )

    def in_memory(self) -> None:
        self.model.abliterate(self.directions, None, self.parameters)
        self.model.reset_model()


def peft_saved(folder: Path, into: Path) -> Work:
    """An adapter of rank 1 on every output of attention and MLP, merged and saved."""
    import peft
    import transformers

    def work() -> None:
        shutil.rmtree(into, ignore_errors=True)
        base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        targets = ["o_proj", "down_proj"]
        adapted = peft.get_peft_model(base, peft.LoraConfig(r=1, target_modules=targets))
        adapted.merge_and_unload().save_pretrained(into)

    return work


def show(title: str, times: Times, ours: str) -> None:
    print(f"\n{title}")
    for name in times:
        seconds = sorted(times[name])[len(times[name]) // 2]
        of = "" if name == ours else f"   theirs / ours {ratio(times, name, ours)}"
        print(f"  {name:34} {seconds:8.3f} s{of}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=16, help="of each class")
    parser.add_argument("--narrow", type=int, default=1, help="rounds of heretic's bfloat16")
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    try:
        compare(scratch, given.rounds, given.prompts, given.narrow)
    finally:
        shutil.rmtree(scratch)


def compare(scratch: Path, rounds: int, prompts: int, narrow: int) -> None:
    folder = scratch / "model"
    write_model(folder)
    print(machine())
    direction = torch.randn(896, generator=torch.Generator().manual_seed(2))
    ours = our_works(folder, prompts, direction, scratch / "ours")
    theirs: dict[str, dict[str, Work]] = {title: {} for title in ours}
    if importlib.util.find_spec("heretic"):
        wide = Heretic(folder, "float32", direction)
        theirs["directions"]["heretic float32"] = lambda: wide.residuals(prompts)
        theirs["in memory, and back"]["heretic float32"] = wide.in_memory
    else:
        print("heretic is not installed: left out")
    if importlib.util.find_spec("peft"):
        theirs["saved"]["peft"] = peft_saved(folder, scratch / "theirs")
    for title, work in ours.items():
        show(title, interleaved({"lenswright": work} | theirs[title], rounds), "lenswright")
    if narrow and importlib.util.find_spec("heretic"):
        default = Heretic(folder, "bfloat16", direction)
        works: dict[str, Work] = {
            "lenswright": ours["directions"],
            "heretic bfloat16, its default": lambda: default.residuals(prompts),
        }
        show("directions", interleaved(works, narrow), "lenswright")


if __name__ == "__main__":
    main()
