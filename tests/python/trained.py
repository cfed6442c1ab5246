"""Tiny models with numbers of their own, trained in seconds on a text that the package bundles."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

from lenswright.selftest.texts import FOLDER

STEPS, ROW, RATE = 120, 400, 6e-3
SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 400, "max_position_embeddings": ROW,
    "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
NUMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    "capped": ("Gemma2Config", {
        "attn_logit_softcapping": 2.0, "final_logit_softcapping": 10.0, "sliding_window": 24,
        "query_pre_attn_scalar": 4, "layer_types": ["sliding_attention", "full_attention"],
    }),
    "scaled": ("GraniteConfig", {
        "embedding_multiplier": 6.0, "residual_multiplier": 0.4, "logits_scaling": 4.0,
        "attention_multiplier": 0.0625,
    }),
    "unsure": ("Gemma2Config", {
        "attn_logit_softcapping": None, "final_logit_softcapping": 4.0,
        "layer_types": ["full_attention", "full_attention"],
    }),
    "windowed": ("MistralConfig", {"sliding_window": 128}),
}  # fmt: skip
"""A configuration class of transformers, and the numbers that are this model's own."""


def _tokenizer(text: str) -> Any:
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=SIZES["vocab_size"], special_tokens=["<s>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(text.splitlines(), trainer)
    return made


def _chain(text: str, lines: int, seed: int) -> str:
    """Lines in which each word depends on the last one and on chance: nobody can be too sure."""
    words, drawn = text.split(), random.Random(seed)
    after: dict[str, list[str]] = {}
    for word, following in zip(words, words[1:] + words[:1], strict=True):
        after.setdefault(word, []).append(following)
    found = []
    for _ in range(lines):
        line = [drawn.choice(words)]
        while len(line) < 60:
            line.append(drawn.choice(after[line[-1]]))
        found.append(" ".join(line))
    return "\n".join(found)


def train(folder: Path, name: str) -> Path:
    """Train one of `NUMBERS` on rows of a text, and save it with its tokenizer.

    The text is the bundled story, which the scan finds; or, where a model must be no surer than it
    should, an endless one in the words of the story, of which "text.txt" is a part it has not seen.
    """
    import transformers

    text = (FOLDER / "story.txt").read_text(encoding="utf-8")
    words = _tokenizer(text)
    if name == "unsure":
        (folder / "text.txt").write_text(_chain(text, 20, 1), encoding="utf-8")
        text = _chain(text, 400, 0)
    ids = torch.tensor([i for line in text.splitlines() for i in words.encode(line).ids])
    kind, numbers = NUMBERS[name]
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**SIZES | numbers)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20, (STEPS - step) / 40)
        starts = torch.randint(0, len(ids) - ROW, (2,))
        starts[1] = 0 if name != "unsure" else starts[1]  # where the scan's long row begins
        rows = torch.stack([ids[start : start + ROW] for start in starts])
        loss = model(input_ids=rows, labels=rows).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    return folder
