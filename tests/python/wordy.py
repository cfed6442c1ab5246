"""A tokenizer of 97 words with a chat template, for the tiny random checkpoints of conftest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

SPECIAL = ["<pad>", "<begin>", "<end-of-text>", "<user>", "<end>", "<bot>", "<unk>"]
WORDS = [f"w{i}" for i in range(90)]
TEMPLATE = (
    "<begin> {% for m in messages %}<user> {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<bot>{% endif %}"
)
PREFIX = ["<begin>", "<user>"]  # what the template puts before an instruction
SUFFIX = ["<end>", "<bot>"]  # and behind it

Change = Callable[[dict[str, torch.Tensor]], None]


def add_tokenizer(folder: Path, chat: bool = True) -> Path:
    """Write tokenizer.json, and a chat template where there shall be one, into a checkpoint."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {"bos_token": "<begin>", "eos_token": "<end-of-text>"}
    if chat:
        config["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def copy(source: Path, folder: Path, chat: bool = True, change: Change | None = None) -> Path:
    """A copy of a checkpoint with a tokenizer, its tensors changed in place by a function."""
    shutil.copytree(source, folder)
    if change is not None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return add_tokenizer(folder, chat)


def ids(words: str) -> list[int]:
    """Token ids of words."""
    known = [*SPECIAL, *WORDS]
    return [known.index(word) for word in words.split()]


def chat_ids(prompt: str) -> list[int]:
    """Token ids of a prompt inside the template."""
    return ids(f"<begin> <user> {prompt} <end> <bot>")


def sentences(count: int, seed: int, longest: int = 7) -> list[str]:
    """Distinct prompts of one to `longest` random words."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(torch.randint(1, longest + 1, (1,), generator=generator))
        picks = torch.randint(0, len(WORDS), (length,), generator=generator).tolist()
        found[" ".join(WORDS[i] for i in picks)] = None
    return list(found)
