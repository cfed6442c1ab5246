"""What selection scores, of weights edited by hand in an independent forward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import wordy
from lenswright.prompting.prompts import Prompt
from plain import Plain

WRITERS = {
    "llama-grouped": ["self_attn.o_proj", "mlp.down_proj"],
    "gpt2": ["attn.c_proj", "mlp.c_proj"],
}


def orthogonalised(folder: Path, family: str, v: torch.Tensor) -> Plain:
    """The model with v taken out of every weight and bias that writes to the residual."""
    plain = Plain(folder)
    head = "lm_head.weight"
    base = "model.embed_tokens" if family.startswith("llama") else "transformer.wte"
    plain.weights.setdefault(head, plain.weights[f"{base}.weight"])  # untied first
    for name, weight in plain.weights.items():
        where = name.rsplit(".", 1)[0]
        if where in (base, "transformer.wpe"):
            plain.weights[name] = weight - (weight @ v)[:, None] * v
        elif name.endswith("bias") and where.endswith(tuple(WRITERS[family])):
            plain.weights[name] = weight - (weight @ v) * v
        elif where.endswith(tuple(WRITERS[family])):
            if family.startswith("llama"):  # [out, in]
                plain.weights[name] = weight - v[:, None] * (v @ weight)
            else:  # [in, out]
                plain.weights[name] = weight - (weight @ v)[:, None] * v
    return plain


def next_token(plain: Plain, prompt: Prompt, more: str = "", edits: Any = None) -> torch.Tensor:
    row = wordy.chat_ids(prompt.text) + wordy.ids(more)
    logits = plain.forward(torch.tensor([row]), edits)["unembed.hook_out"][0, -1]
    return torch.log_softmax(logits.detach(), -1)


def odds(plain: Plain, prompts: tuple[Prompt, ...], edits: Any = None) -> float:
    """Mean of SCORE."""
    w5, w6, w7, w8 = wordy.ids("w5 w6 w7 w8")
    values = []
    for prompt in prompts:
        first = next_token(plain, prompt, edits=edits)
        second = next_token(plain, prompt, "w6", edits)
        either = torch.stack([first[w5], first[w6] + second[w7]]).logsumexp(0)
        values.append(float(either - first[w8]))
    return sum(values) / len(values)


def divergence(base: Plain, other: Plain, prompts: tuple[Prompt, ...]) -> float:
    values = []
    for prompt in prompts:
        p, q = next_token(base, prompt), next_token(other, prompt)
        values.append(float((p.exp() * (p - q)).sum()))
    return sum(values) / len(values)
