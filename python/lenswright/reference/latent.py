"""Latent attention in the oracle: compressed states, and the queries and keys made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lenswright.reference.model import Reference


@dataclass(frozen=True)
class Latent:
    """Latent attention: one compressed state stands for every head's keys and values.

    Module paths start at the attention module. nope: how many coordinates of a query or a key are
    not rotated; they come first. rope: how many are, one key of them serving every head.
    """

    nope: int
    rope: int
    q: str = "q_b_proj"
    q_norm: str = "q_a_layernorm"
    kv_a: str = "kv_a_proj_with_mqa"
    kv_norm: str = "kv_a_layernorm"
    kv: str = "kv_b_proj"


def hooks(ref: Reference, layer: int, raw: dict[str, Tensor]) -> Iterator[Any]:
    """The hooks of one layer beside those every attention has (z, out, scores, rotated q and k)."""
    latent = ref.parts.latent
    assert latent is not None

    def keep(key: str) -> Callable[..., None]:
        def hook(_: Any, __: Any, out: Tensor) -> None:
            raw[f"{layer}.{key}"] = out

        return hook

    for key, path in (
        ("q", latent.q), ("q_latent", latent.q_norm), ("kv_a", latent.kv_a),
        ("kv_latent", latent.kv_norm), ("kv", latent.kv),
    ):  # fmt: skip
        if (module := ref.in_attention(path, layer)) is not None:
            yield module.register_forward_hook(keep(key))


def points(
    ref: Reference, layer: int, raw: dict[str, Tensor], grads: bool
) -> dict[str, Callable[[], Tensor]]:
    """{point: a call that computes it} for q, k, v, both latents and rotated q and k."""
    latent, heads = ref.parts.latent, ref.n_heads
    assert latent is not None

    def by_head(key: str) -> Tensor:
        return raw[key].reshape(*raw["tokens"].shape, heads, -1)

    def keys() -> Tensor:
        own, turning = by_head("kv")[..., : latent.nope], raw["kv_a"][..., -latent.rope :]
        return torch.cat([own, turning.unsqueeze(2).expand(-1, -1, heads, -1)], dim=-1)

    table = {
        "attn.hook_q": lambda: by_head("q"),
        "attn.hook_v": lambda: by_head("kv")[..., latent.nope :],
        "attn.hook_kv_latent": lambda: raw["kv_latent"],
        "attn.hook_rot_q": lambda: raw["rot_q"].transpose(1, 2),
        "attn.hook_rot_k": lambda: raw["rot_k"].permute(0, 3, 1, 2),
    }
    if not grads:  # a key's turning part has no gradient of its own in each head
        table["attn.hook_k"] = keys
    if ref.in_attention(latent.q_norm, layer) is not None:
        table["attn.hook_q_latent"] = lambda: raw["q_latent"]
    return table
