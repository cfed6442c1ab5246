"""Methods of task vectors, plainly: what they keep of a difference, and how they add up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Own = Sequence[dict[str, float]]


def infinite(sizes: Array) -> Array:
    """Sizes in which NaN is infinity, so that they have an order."""
    return np.where(np.isnan(sizes), np.inf, sizes)


def ranks(sizes: Array) -> Array:
    """0 for the largest, NaN being as large as can be; of equal ones the first."""
    order = np.lexsort((np.arange(sizes.size), -infinite(sizes).ravel()))
    out = np.empty(sizes.size, np.int64)
    out[order] = np.arange(sizes.size)
    return out.reshape(sizes.shape)


def mean_ranks(sizes: Array) -> Array:
    """0 for the smallest, equal ones the mean of theirs; NaN is as large as can be."""
    sizes = infinite(sizes)
    smaller = (sizes[:, None] > sizes[None, :]).sum(1)
    others = (sizes[:, None] == sizes[None, :]).sum(1) - 1
    return smaller + others / 2


def stream(name: str, values: Array) -> int:
    """The stream of random numbers of a tensor of a model (no two models alike in the glimpse)."""
    v = values.ravel().astype("<f8")
    digest = hashlib.sha256(name.encode() + b"\0")
    if v.size <= 4096:
        digest.update(v.tobytes())
    else:
        for piece in range(64):
            at = (v.size - 64) // 63 * piece
            digest.update(v[at : at + 64].tobytes())
    return int.from_bytes(digest.digest()[:8], "big")


def words(seed: int, number: int, count: int) -> Array:
    """The first `count` 32-bit words: Philox4x32-10 (Salmon et al., SC 2011) in NumPy."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [blocks & low, blocks >> high, *(np.full_like(blocks, (number >> s) & 0xFFFFFFFF)
                                         for s in (0, 32))]  # fmt: skip
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> high) ^ c[1] ^ np.uint64(key[0]), b & low,
             (a >> high) ^ c[3] ^ np.uint64(key[1]), a & low]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1).ravel()[:count].astype(np.float64)


Drop = Callable[[Array, dict[str, float], int], Array]


def everything(delta: Array, own: dict[str, float], i: int) -> Array:
    return delta


def largest(delta: Array, own: dict[str, float], i: int) -> Array:
    density = own.get("density", 1.0)
    k = delta.size if density >= 1 else int(density * delta.size)
    return np.where(ranks(np.abs(delta)) < k, delta, 0)


def without_outliers(delta: Array, own: dict[str, float], i: int) -> Array:
    density = own.get("density", 1.0)
    if density >= 1:
        return delta
    kept, n = int(density * delta.size), delta.size
    top = min(int(own.get("gamma", 0.01) * n), n - kept)
    rank = ranks(np.abs(delta))
    return np.where((rank >= top) & (rank < top + kept), delta, 0)


def bernoulli(name: str, x: list[Array], seed: int, unbiased: bool) -> Drop:
    def drop(delta: Array, own: dict[str, float], i: int) -> Array:
        density = own.get("density", 1.0)
        if density >= 1:
            return delta
        number, n = stream(name, x[i]), delta.size
        low, high = np.divmod(words(seed, number, n // 2 + 1), 2**16)[::-1]
        halves = np.stack([low, high], 1).ravel()[:n].reshape(delta.shape)
        more = words(seed, ~number & (2**64 - 1), 4 * n)[::4].reshape(delta.shape)
        limit = np.floor(density * 2**48)
        first = np.floor(limit / 2**32)
        stays = (halves < first) | ((halves == first) & (more < limit - first * 2**32))
        kept = np.where(stays, delta, 0)
        return kept * (1 / density) if unbiased else kept

    return drop


def magprune(name: str, x: list[Array], seed: int, unbiased: bool) -> Drop:
    def drop(delta: Array, own: dict[str, float], i: int) -> Array:
        density = own.get("density", 1.0)
        if density >= 1:
            return delta
        epsilon = own.get("epsilon", min(0.15, density, 1 - density))
        word = words(seed, stream(name, x[i]), delta.size).reshape(delta.shape)
        rows = delta.reshape(-1, delta.shape[-1])
        rank = np.stack([mean_ranks(np.abs(row)) for row in rows]).reshape(delta.shape)
        n = delta.shape[-1]
        p = density - epsilon + 2 * epsilon / (n - 1) * rank if n > 1 else 0 * rank + density
        kept = np.where(word < np.floor(p * 2**32), delta, 0)
        return kept / np.where(p > 0, p, 1) if unbiased else kept

    return drop


def frame(  # the frame of TIES and its kin
    x: list[Array], base: Array, own: Own, p: dict[str, Any], drop: Drop, elect: bool, l1: bool,
    normalize: bool,
) -> Array:  # fmt: skip
    terms = []
    for i, (one, o) in enumerate(zip(x, own, strict=True)):
        delta = one - base
        kept = drop(delta, o, i)
        if l1:
            before, after = np.abs(delta).sum(), np.abs(kept).sum()
            kept = kept if before < 1e-7 or after < 1e-7 else kept * (before / after)
        terms.append(o["weight"] * kept)
    weights = [o["weight"] for o in own]
    total = sum(terms)
    if elect:
        sign, spoilt = np.where(total >= 0, 1, -1), np.isnan(total)
        agrees = [np.sign(term) == sign for term in terms]
        total = sum(np.where(a, term, 0) for a, term in zip(agrees, terms, strict=True))
        total = np.where(spoilt, np.nan, total)  # which stays, whatever is elected
        divisor = sum(np.where(a, w, 0) for a, w in zip(agrees, weights, strict=True))
        if p.get("normalize", normalize):
            total = total / np.where(divisor == 0, 1, divisor)
    elif p.get("normalize", normalize) and abs(sum(weights)) >= 1e-8:
        total = total / sum(weights)
    return base + p.get("lambda", 1.0) * total
