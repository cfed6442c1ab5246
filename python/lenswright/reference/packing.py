"""Ways in which families pack queries, keys and values into one projection."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Split = tuple[Tensor, Tensor, Tensor]
Packing = Callable[[Tensor, int, int], Split]
"""(fused [batch, pos, width], heads, kv heads) -> q, k, v, each [batch, pos, heads, d_head]."""


def consecutive(fused: Tensor, heads: int, kv: int) -> Split:
    """All queries, then all keys, then all values."""
    q, k, v = fused.unflatten(-1, (heads + 2 * kv, -1)).split([heads, kv, kv], dim=-2)
    return q, k, v


def per_head(fused: Tensor, heads: int, kv: int) -> Split:
    """Head by head its query, key and value."""
    q, k, v = fused.unflatten(-1, (heads, 3, -1)).unbind(-2)
    return q, k, v


def per_group(fused: Tensor, heads: int, kv: int) -> Split:
    """Group by group its queries, one key and one value."""
    groups = fused.unflatten(-1, (kv, heads // kv + 2, -1))
    return groups[..., :-2, :].flatten(-3, -2), groups[..., -2, :], groups[..., -1, :]


def codegen(fused: Tensor, heads: int, kv: int) -> Split:
    """Four slices, one for each core of its training, each with queries, values, keys."""
    q, v, k = fused.unflatten(-1, (4, 3, heads // 4, -1)).unbind(-3)
    return q.flatten(-3, -2), k.flatten(-3, -2), v.flatten(-3, -2)
