"""What writers read, prompt by prompt, and edits conditioned on it as least squares, plainly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import lenswright as lw
import wordy
from editing import stored_as
from editing_families import Family
from lenswright.prompting.prompts import Splits

LAYER_INPUTS = {"attention": "attn.hook_z", "mlp": "mlp.hook_post"}
RIDGE, BALANCE = 1e-4, 0.3


def splits() -> Splits:
    """Sentences of random words in three parts, some of the negatives to fit on with answers."""
    texts = wordy.sentences(60, seed=5)
    parts = {
        role: {
            "positive": texts[20 * i : 20 * i + 12],
            "negative": texts[20 * i + 12 : 20 * i + 20],
        }
        for i, role in enumerate(("fit", "select", "test"))
    }
    for i, text in enumerate(parts["fit"]["negative"][:3]):
        parts["fit"]["negative"][i] = {"prompt": text, "answer": "w3 w4 w5"}
    return Splits.from_parts(**parts)


def worded(family: Family, tmp_path: Path, name: str, knob: str = "", **more: Any) -> lw.Model:
    """A random model in float64 with a tokenizer of words."""
    source = stored_as(family(name, knob, **more), tmp_path / "in", "float64")
    return lw.load(wordy.add_tokenizer(source))


def keys_of(
    model: lw.Model, prompts: Any, point: str, edit: lw.edits.Edit | None
) -> list[torch.Tensor]:
    """What a writer reads, prompt by prompt: behind positives' instructions, all of negatives, and
    behind negatives' instructions."""
    found: list[list[torch.Tensor]] = [[], [], []]
    for prompt in prompts:
        positive = prompt in prompts.positive
        answer = [] if prompt.answer is None else wordy.ids(prompt.answer)
        row = wordy.chat_ids(prompt.text) + ([] if positive else answer)
        if edit is None:
            cache = model.capture(torch.tensor([row]), point)
        else:
            with model.edited(edit):
                cache = model.capture(torch.tensor([row]), point)
        keys = cache[point][0].flatten(1)
        found[0 if positive else 1].append(keys[-2:] if positive else keys)
        if not positive:
            end = len(wordy.chat_ids(prompt.text))
            found[2].append(keys[end - 2 : end])
    return [torch.cat(part) for part in found]


def least_squares(
    keys: Sequence[torch.Tensor], w: torch.Tensor, b: torch.Tensor, v: torch.Tensor, target: Any
) -> torch.Tensor:
    """The minimum as an overdetermined system, whose rows are the terms of the sum."""
    positive, negative, alike = keys
    tau = (v @ (alike @ w.T + b).T).mean() if target == "mean" else target
    wanted = tau - v @ (positive @ w.T + b).T
    trace = positive.square().sum() / len(positive) + BALANCE * negative.square().sum() / len(
        negative
    )
    size = w.shape[1]
    rows = torch.cat([
        positive / len(positive) ** 0.5,
        (BALANCE / len(negative)) ** 0.5 * negative,
        (RIDGE * trace / size) ** 0.5 * torch.eye(size, dtype=w.dtype),
    ])  # fmt: skip
    right = torch.cat([
        wanted / len(positive) ** 0.5, torch.zeros(len(negative) + size, dtype=w.dtype)
    ])  # fmt: skip
    return torch.linalg.lstsq(rows, right[:, None], driver="gelsd").solution[:, 0]
