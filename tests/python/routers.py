"""Every family's router written down again: logits to a weight of each expert, zero if unchosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Router = Callable[[Tensor, Tensor | None, int, Any], Tensor]
"""(logits [..., experts], correction bias, number to choose, config) -> weights [..., experts]."""


def best(scores: Tensor, k: int) -> Tensor:
    """Where the k largest of the last dimension are."""
    return scores >= scores.topk(k).values[..., -1:]


def _softmax_first(logits: Tensor, _: Tensor | None, k: int, config: Any) -> Tensor:
    probabilities = logits.softmax(-1)
    chosen = probabilities * best(probabilities, k)
    normed = getattr(config, "norm_topk_prob", True)
    return chosen / chosen.sum(-1, keepdim=True) if normed else chosen


def _softmax_last(logits: Tensor, _: Tensor | None, k: int, config: Any) -> Tensor:
    return logits.masked_fill(~best(logits, k), -torch.inf).softmax(-1)


def _kept_groups(scores: Tensor, of_group: Callable[[Tensor], Tensor], config: Any) -> Tensor:
    groups = scores.unflatten(-1, (config.n_group, -1))
    kept = best(of_group(groups), config.topk_group)
    return kept.unsqueeze(-1).expand_as(groups).flatten(-2)


def _sigmoid_groups(logits: Tensor, bias: Tensor | None, k: int, config: Any) -> Tensor:
    assert bias is not None
    scores = logits.sigmoid()
    corrected = scores + bias
    kept = _kept_groups(corrected, lambda group: group.topk(2).values.sum(-1), config)
    chosen = scores * best(corrected.masked_fill(~kept, -torch.inf), k)
    if config.norm_topk_prob:
        chosen = chosen / (chosen.sum(-1, keepdim=True) + 1e-20)
    return chosen * config.routed_scaling_factor


def _softmax_groups(logits: Tensor, _: Tensor | None, k: int, config: Any) -> Tensor:
    probabilities = logits.softmax(-1)
    if config.topk_method == "group_limited_greedy":
        kept = _kept_groups(probabilities, lambda group: group.amax(-1), config)
        probabilities = probabilities * kept
    return probabilities * best(probabilities, k) * config.routed_scaling_factor


def _corrected_softmax(logits: Tensor, bias: Tensor | None, k: int, config: Any) -> Tensor:
    assert bias is not None
    probabilities = logits.softmax(-1)
    chosen = probabilities * best(probabilities + bias.flatten(), k)
    return chosen / chosen.sum(-1, keepdim=True).clamp(min=config.moe_norm_min)


def _sparse_mixer(logits: Tensor, _: Tensor | None, k: int, config: Any) -> Tensor:
    """Two choices; each one's softmax is over the experts near it that are still free."""
    weights, left = torch.zeros_like(logits), logits
    for _choice in range(2):
        top, index = left.max(-1, keepdim=True)
        far = (top - logits) / logits.abs().maximum(top) > 2 * config.router_jitter_noise
        near = left.masked_fill(far, -torch.inf).softmax(-1)
        weights = weights.scatter(-1, index, near.gather(-1, index))
        left = left.scatter(-1, index, -torch.inf)
    return weights


def _sigmoid(logits: Tensor, _: Tensor | None, k: int, config: Any) -> Tensor:
    return logits.sigmoid() * best(logits, k)


ROUTERS: dict[str, Router] = {
    "deepseek_v2": _softmax_groups,
    "deepseek_v3": _sigmoid_groups,
    "dots1": _sigmoid_groups,
    "ernie4_5_moe": _corrected_softmax,
    "glm4_moe": _sigmoid_groups,
    "gpt_oss": _softmax_last,
    "granitemoe": _softmax_last,
    "granitemoeshared": _softmax_last,
    "hunyuan_v1_moe": _softmax_first,
    "llama4": _sigmoid,
    "llama4_text": _sigmoid,
    "mixtral": _softmax_first,
    "olmoe": _softmax_first,
    "phimoe": _sparse_mixer,
    "qwen2_moe": _softmax_first,
    "qwen3_moe": _softmax_first,
    "qwen3_vl_moe": _softmax_first,
}
