"""The points of attention, computed from raw tensors of a `transformers` run or their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lenswright.reference import latent

if TYPE_CHECKING:
    from lenswright.reference.model import Reference

Table = dict[str, Callable[[], Tensor]]

_FORBIDDEN = {torch.float16: -3e4}
"""Scores below this are masks; families add or fill in the lowest number of some type."""


class Attention:
    """One layer's raw tensors seen in the shapes of the points.

    grads: the tensors are gradients, so what was repeated is summed instead of dropped.
    """

    def __init__(self, ref: Reference, raw: Mapping[str, Tensor], grads: bool) -> None:
        self.ref, self.raw, self.grads = ref, raw, grads

    def projected(self, which: int) -> Tensor:
        """Queries (0), keys (1) or values (2) as the projection makes them."""
        p, heads, kv = self.ref.parts, self.ref.n_heads, self.ref.n_kv
        if len(p.qkv) == 1:
            value = p.packing(self.raw["qkv"], heads, kv)[which]
        else:
            value = self.raw["qkv"[which]].unflatten(-1, (kv if which else heads, -1))
        return value if p.clip_normed and which < 2 else self._bounded(value)

    def _bounded(self, value: Tensor) -> Tensor:
        clip = self.ref.parts.clip
        return value if clip is None else value.clamp(-clip, clip)

    def normed(self, key: str, heads: int) -> Tensor:
        """The output (or input) of q_norm or k_norm, heads apart."""
        value = self._bounded(self.raw[key]) if self.ref.parts.clip_normed else self.raw[key]
        if value.ndim == 3:
            return value.unflatten(-1, (heads, -1))
        return value.transpose(1, 2) if self.ref.parts.heads_first else value

    def by_head(self, value: Tensor) -> Tensor:
        """[batch, heads, ...] also where a family flattens the two."""
        return value if value.ndim == 4 else value.unflatten(0, (len(self.raw["tokens"]), -1))

    def rotated_queries(self) -> Tensor:
        """[batch, pos, heads, d_head]."""
        if self.ref.parts.norm_after_rotation:
            return self.normed("q_unnormed", self.ref.n_heads)
        return self.by_head(self.raw["rot_q"]).transpose(1, 2)

    def rotated_keys(self) -> Tensor:
        """[batch, pos, kv heads, d_head], whether or not they were repeated for their groups."""
        if self.ref.parts.norm_after_rotation:
            return self.normed("k_unnormed", self.ref.n_kv)
        keys = self.by_head(self.raw["rot_k"]).transpose(-1, -2)
        groups = keys.unflatten(1, (self.ref.n_kv, -1))
        return (groups.sum(2) if self.grads else groups[:, :, 0]).transpose(1, 2)

    def scores(self) -> Tensor:
        """What the softmax reads, without sinks, minus infinity where it may not look."""
        scores = self.by_head(self.raw["joined" if self.ref.parts.sinks else "scores"])
        low = _FORBIDDEN.get(scores.dtype, -1e30)
        return scores.masked_fill(scores <= low, float("-inf"))

    def pattern(self) -> Tensor:
        """The softmax's output without the sinks' share."""
        pattern = self.by_head(self.raw["pattern"])
        return pattern[..., :-1] if self.ref.parts.sinks else pattern

    def z(self) -> Tensor:
        """[batch, pos, heads, d_value]."""
        return self.raw["z"].unflatten(-1, (self.ref.n_heads, -1))


def attention_points(ref: Reference, layer: int, raw: Mapping[str, Tensor], grads: bool) -> Table:
    """{point name without its layer: a call that computes it}."""
    a, p = Attention(ref, raw, grads), ref.parts

    def result() -> Tensor:
        z = a.z()
        return torch.einsum("bphe,hed->bphd", z, ref.head_outputs(layer).to(z.dtype))

    table: Table = {
        "attn.hook_attn_scores": a.scores,
        "attn.hook_pattern": a.pattern,
        "attn.hook_z": a.z,
        "attn.hook_result": result,
    }
    if p.sinks:
        table["attn.hook_sink"] = lambda: a.by_head(raw["pattern"])[..., -1]
    if p.latent is not None:
        return table | latent.points(ref, layer, dict(raw), grads)
    clipped = grads and p.clip is not None  # then a gradient there is not that of a raw tensor
    if not clipped:
        for which, name in enumerate("qkv"):
            table[f"attn.hook_{name}"] = lambda which=which: a.projected(which)  # type: ignore[misc]
    if ref.in_attention(p.q_norm, layer) is not None and not (clipped and p.clip_normed):
        table["attn.hook_q_normed"] = lambda: a.normed("q_normed", ref.n_heads)
        table["attn.hook_k_normed"] = lambda: a.normed("k_normed", ref.n_kv)
    if p.rotates(layer):
        table["attn.hook_rot_q"] = a.rotated_queries
        table["attn.hook_rot_k"] = a.rotated_keys
    return table
