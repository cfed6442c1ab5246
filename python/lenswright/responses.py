"""What a model says to prompts, and how far two models' words lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompts import Prompt


@dataclass(frozen=True)
class Spoken:
    """A prompt with the tokens the model reads and, where asked for, those it answered."""

    prompt: Prompt
    tokens: list[int]
    response: list[int]
    text: str


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices that cover `count` things, `size` at a time."""
    if size < 1:
        raise ValueError(f"batch_size is {size}, expected at least 1")
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def respond(
    model: Model, prompts: Sequence[Prompt], max_new_tokens: int = 32, batch_size: int = 64
) -> list[Spoken]:
    """Greedy responses, under whatever edits and hooks are in force."""
    tokens = model.prompt_tokens([prompt.text for prompt in prompts])
    spoken = []
    for part in batches(len(prompts), batch_size):
        new = model.generate(tokens[part], max_new_tokens, return_type="tokens")
        for prompt, old, more in zip(prompts[part], tokens[part], new, strict=True):
            text = model.tokenizer.decode(more, skip_special_tokens=True).strip()
            spoken.append(Spoken(prompt, old, more, text))
    return spoken


def with_answers(model: Model, spoken: Sequence[Spoken]) -> list[tuple[list[int], list[int]]]:
    """(prompt tokens, answer tokens): the set's own answers, else what the model answered."""
    pairs = []
    for one in spoken:
        answer = one.response
        if one.prompt.answer is not None:
            answer = model.tokenizer.encode_verbatim(one.prompt.answer)
        pairs.append((one.tokens, answer))
    return pairs


def answer_log_probs(
    model: Model, pairs: Sequence[tuple[list[int], list[int]]], batch_size: int = 64
) -> list[torch.Tensor]:
    """Teacher-forced log-probabilities [answer tokens, d_vocab] in float64, one tensor a prompt."""
    results = []
    for part in batches(len(pairs), batch_size):
        rows = [prompt + answer for prompt, answer in pairs[part]]
        with torch.no_grad():
            logits = model(rows)
        for i, (prompt, answer) in enumerate(pairs[part]):
            # The token at place p is predicted at place p - 1.
            predicted = logits[i, len(prompt) - 1 : len(prompt) + len(answer) - 1]
            results.append(torch.log_softmax(predicted.double(), -1).cpu())
    return results


def divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """Mean over positions of KL(p ‖ q) in nats, of log-probabilities [positions, d_vocab]."""
    return float((p.exp() * (p - q)).sum(-1).mean())
