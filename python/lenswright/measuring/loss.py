"""Next-token loss over the real positions of a ragged batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def next_token_loss(
    logits: torch.Tensor,
    tokens: torch.Tensor,
    lengths: Sequence[int],
    padding_side: str,
    per_token: bool,
) -> torch.Tensor:
    """Cross entropy of each next token in nats.

    Args:
        logits: [batch, pos, d_vocab].
        tokens: [batch, pos].
        lengths: real tokens of each row; [] where every place is real.
        padding_side: "right" or "left".
        per_token: [batch, pos - 1] with NaN in padding, instead of the mean over all next tokens.
    """
    width = tokens.shape[1]
    if width < 2:
        raise ValueError(f"a loss needs at least two tokens, but pos is {width}")
    log_probs = torch.log_softmax(logits[:, :-1], dim=-1)
    losses = -log_probs.gather(-1, tokens[:, 1:, None])[..., 0]
    if not lengths:
        return losses if per_token else losses.mean()
    places = torch.arange(width - 1, device=tokens.device)
    sizes = torch.tensor(list(lengths), device=tokens.device)[:, None]
    real = places < sizes - 1 if padding_side == "right" else places >= width - sizes
    if per_token:
        return losses.masked_fill(~real, float("nan"))
    return losses[real].mean()
