"""What a model says to prompts, and how far two models' words lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lenswright.batches import batches
from lenswright.measuring.forcing import continuation_ids, final_residual, log_probs
from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompts import Prompt


@dataclass(frozen=True)
class Spoken:
    """A prompt with the tokens the model reads and those it answered.

    text: the answer; of a model that thinks, without its `reasoning` (None where it marked none).
    """

    prompt: Prompt
    tokens: list[int]
    response: list[int]
    text: str
    reasoning: str | None = None


def respond(
    model: Model, prompts: Sequence[Prompt], max_new_tokens: int = 32, batch_size: int = 64
) -> list[Spoken]:
    """Greedy responses, under whatever edits and hooks are in force."""
    tokens = model.prompt_tokens([prompt.text for prompt in prompts])
    spoken = []
    for part in batches(len(prompts), batch_size):
        made = model.generate(tokens[part], max_new_tokens, return_type="both")
        rows = zip(prompts[part], tokens[part], made.tokens, made.reasoned, strict=True)
        for prompt, old, new, (reasoning, answer) in rows:
            spoken.append(Spoken(prompt, old, new, answer.strip(), reasoning))
    return spoken


def with_answers(model: Model, spoken: Sequence[Spoken]) -> list[tuple[list[int], list[int]]]:
    """(prompt tokens, answer tokens): the set's own answers, else what the model answered.

    A set's answer is tokenised as its text is tokenised behind the prompt.
    """
    pairs = []
    for one in spoken:
        answer = one.response
        if one.prompt.answer is not None:
            answer = continuation_ids(model, one.prompt, one.prompt.answer)
        pairs.append((one.tokens, answer))
    return pairs


def answer_residuals(
    model: Model, pairs: Sequence[tuple[list[int], list[int]]], batch_size: int = 64
) -> list[torch.Tensor]:
    """The final residuals [answer tokens, d_model] that predict each answer, one tensor a prompt.

    Kept instead of logits, which are d_vocab / d_model times as large. Hooks and edits that are
    active on the model act; what stands behind the last block (norm, unembedding) they cannot edit.
    """
    results = []
    for part in batches(len(pairs), batch_size):
        rows = [prompt + answer[:-1] for prompt, answer in pairs[part]]
        taps = new_taps(model, rows, [len(prompt) for prompt, _ in pairs[part]])
        residual = final_residual(model, taps, rows)
        for i, (prompt, answer) in enumerate(pairs[part]):
            # The token at place p is predicted at place p - 1.
            start = len(prompt) - 1
            results.append(residual[i, start : start + len(answer)].clone())
    return results


def divergences(
    model: Model,
    base: Sequence[torch.Tensor],
    other: Sequence[torch.Tensor],
    answers: Sequence[Sequence[int]],
) -> dict[str, tuple[str, list[float]]]:
    """How far a model's words on some answers lie from another's: name -> (unit, one a prompt).

    Both divergences and the loss of the answer are means over its tokens, in nats; agreement is the
    share of tokens where both find the same token most probable. The divergence of the first token
    alone, which others report, is named so.

    Args:
        base, other: final residuals [tokens, d_model] of each prompt.
        answers: the token ids that they predict.
    """
    if not base:
        return {}
    left, right = torch.cat(list(base)), torch.cat(list(other))
    said = torch.tensor([token for answer in answers for token in answer], device=left.device)
    found: dict[str, list[torch.Tensor]] = {}
    tables = zip(log_probs(model, left), log_probs(model, right), strict=True)
    for (part, p), (_, q) in tables:
        apart = p - q
        for name, value in (
            ("KL(base‖edited)", (p.exp() * apart).sum(-1)),
            ("KL(edited‖base)", (q.exp() * -apart).sum(-1)),
            ("agreement", (p.argmax(-1) == q.argmax(-1)).double()),
            ("loss of the answers", -q.gather(1, said[part, None])[:, 0]),
        ):
            found.setdefault(name, []).append(value)
    sizes = [len(residual) for residual in base]
    split = {name: torch.cat(values).split(sizes) for name, values in found.items()}
    means = {name: [float(t.mean()) for t in tokens] for name, tokens in split.items()}
    first = [float(tokens[0]) for tokens in split["KL(base‖edited)"]]
    return {
        "KL(base‖edited)": ("nats", means["KL(base‖edited)"]),
        "KL(edited‖base)": ("nats", means["KL(edited‖base)"]),
        "first-token KL(base‖edited)": ("nats", first),
        "agreement": ("share", means["agreement"]),
        "loss of the answers": ("nats", means["loss of the answers"]),
    }
