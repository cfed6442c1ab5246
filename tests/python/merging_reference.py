"""Every merge method written out plainly in float64 NumPy: one line for one line of its formula.

Vectors in, a vector out, all of one output tensor. `base` is None where a method has none. Of equal
sizes the one at the lower index counts as the larger.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lenswright import _files
from merging_task_vectors import (
    Array,
    Drop,
    Own,
    bernoulli,
    everything,
    frame,
    infinite,
    largest,
    magprune,
    ranks,
    without_outliers,
)


def flat_dot(a: Array, b: Array) -> float:
    return float(np.sum(a.ravel() * b.ravel()))


def on_circle(cosine: float, t: float, opposite: float) -> tuple[float, float]:
    angle = np.arccos(np.clip(cosine, -1, 1))
    if cosine < -opposite or abs(np.sin(angle)) < 1e-8:
        return 1 - t, t
    return np.sin((1 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)


def linear(x: list[Array], base: Any, own: Own, p: dict[str, Any], mode: str) -> Array:
    weights = [o["weight"] for o in own]
    if p.get("normalize", True) and len(set(weights)) == 1:
        return sum(x[1:], x[0].copy()) / len(x)
    total = sum(w * v for w, v in zip(weights, x, strict=True))
    return total / sum(weights) if p.get("normalize", True) else total


def slerp(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str) -> Array:
    a, b, t = base, x[0], p["t"]
    na, nb = np.sqrt(flat_dot(a, a)), np.sqrt(flat_dot(b, b))
    if mode == "compat":
        cosine = flat_dot(a, b) / (na if na > 1e-8 else 1) / (nb if nb > 1e-8 else 1)
        c = (1 - t, t) if abs(cosine) > 0.9995 else on_circle(cosine, t, 1)
    elif na == 0 or nb == 0:
        c = (1 - t, t)
    else:
        c = on_circle(flat_dot(a, b) / (na * nb), t, 0.9995)
    return c[0] * a + c[1] * b


def nuslerp(x: list[Array], base: Any, own: Own, p: dict[str, Any], mode: str) -> Array:
    w0, w1 = (o["weight"] for o in own)
    t = 0.5 if abs(w0 + w1) < 1e-6 else w1 / (w0 + w1)
    a, b = (x[0], x[1]) if base is None else (x[0] - base, x[1] - base)

    def line(u: Array, v: Array) -> Array:
        nu, nv = np.sqrt(flat_dot(u, u)), np.sqrt(flat_dot(v, v))
        if mode == "compat":
            c = on_circle(flat_dot(u, v) / max(nu, 1e-7) / max(nv, 1e-7), t, 1)
        elif nu == 0 or nv == 0:
            c = (1 - t, t)
        else:
            c = on_circle(flat_dot(u, v) / (nu * nv), t, 0.9995)
        return c[0] * u + c[1] * v

    rows = bool(p.get("nuslerp_row_wise", False)) == (mode == "strict")
    if p.get("nuslerp_flatten", True) or a.ndim < 2:
        out = line(a, b)
    elif rows:
        out = np.stack([line(u, v) for u, v in zip(a, b, strict=True)])
    else:
        out = np.stack([line(u, v) for u, v in zip(a.T, b.T, strict=True)]).T
    return out if base is None else base + out


def multislerp(x: list[Array], base: Any, own: Own, p: dict[str, Any], mode: str) -> Array:
    eps, w = p.get("eps", 1e-8), np.array([o["weight"] for o in own])
    if p.get("normalize_weights", True):
        w = w / w.sum()
    v = [one - base if base is not None else one for one in x]
    norms = np.array([np.sqrt(flat_dot(one, one)) for one in v])
    units = [one / (n + eps) for one, n in zip(v, norms, strict=True)]
    mean = sum(c * u for c, u in zip(w, units, strict=True))
    size = np.sqrt(flat_dot(mean, mean))
    if size < eps:
        out = sum(c * one for c, one in zip(w, v, strict=True))
    else:
        mean = mean / size
        tangents = [u - flat_dot(u, mean) * mean for u in units]
        step = sum(c * s for c, s in zip(w, tangents, strict=True))
        angle = np.sqrt(flat_dot(step, step)) + eps
        out = (mean * np.cos(angle) + step * np.sin(angle) / angle) * float(np.sum(w * norms))
    return out if base is None else base + out


def karcher(x: list[Array], base: Any, own: Own, p: dict[str, Any], mode: str) -> Array:
    norms = [np.sqrt(flat_dot(v, v)) for v in x]
    units = [v / n for v, n in zip(x, norms, strict=True) if n > 0]
    if not units:
        return np.zeros_like(x[0])
    tol, alpha = p.get("tol", 1e-5), 1 / len(units)
    u = sum(units) * alpha
    size = np.sqrt(flat_dot(u, u))
    u = units[0] if size < tol else u / size
    for _ in range(int(p.get("max_iter", 10))):
        step = np.zeros_like(u)
        for one in units:
            cosine = np.clip(flat_dot(one, u), -1, 1)
            angle = np.arccos(cosine)
            ratio = 1.0 if np.sin(angle) < 1e-12 else angle / np.sin(angle)
            step += alpha * ratio * (one - cosine * u)
        angle = np.sqrt(flat_dot(step, step))
        if angle < tol:
            break
        u = np.cos(angle) * u + np.sin(angle) / angle * step
        u = u / np.sqrt(flat_dot(u, u))
    return float(np.mean(norms)) * u


def model_stock(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str) -> Array:
    def vector(rows: list[Array], origin: Array) -> Array:
        deltas = [row - origin for row in rows]
        n = len(deltas)
        cosines = []
        for i in range(n):
            for j in range(i + 1, n):
                norms = np.sqrt(flat_dot(deltas[i], deltas[i]) * flat_dot(deltas[j], deltas[j]))
                norms = max(norms, 1e-6) if mode == "compat" else norms
                cosines.append(0.0 if norms == 0 else flat_dot(deltas[i], deltas[j]) / norms)
        c = float(np.mean(cosines))
        if mode == "strict" and c <= 0:
            return origin + 0 * sum(rows)
        t = n * c / (1 + (n - 1) * c)
        t = min(t, 1.0) if mode == "strict" else t
        return t * sum(rows) / n + (1 - t) * origin

    if p.get("filter_wise") and base.ndim > 1:
        return np.stack([vector([v[r] for v in x], base[r]) for r in range(base.shape[0])])
    return vector(x, base)


def sce(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str) -> Array:
    deltas = [v - base for v in x]
    topk = p.get("select_topk", 1.0)
    if topk < 1:
        variance = np.mean([(d - sum(deltas) / len(deltas)) ** 2 for d in deltas], axis=0)
        chosen = ranks(variance) < int(np.count_nonzero(variance) * topk)
        deltas = [np.where(chosen, d, 0) for d in deltas]
    squares = np.array([np.mean(d * d) for d in deltas])
    even = squares.sum() < 1e-6 if mode == "compat" else squares.sum() == 0
    w = np.full(len(x), 1 / len(x)) if even else squares / squares.sum()
    sign = np.where(sum(deltas) >= 0, 1, -1)
    agrees = [np.sign(d) == sign for d in deltas]
    spoilt = np.isnan(sum(d * c for d, c in zip(deltas, w, strict=True)))
    total = sum(np.where(a, d * c, 0) for a, d, c in zip(agrees, deltas, w, strict=True))
    total = np.where(spoilt, np.nan, total)
    divisor = sum(np.where(a, c, 0) for a, c in zip(agrees, w, strict=True))
    if mode == "compat":
        return base + total / np.maximum(divisor, 1e-6)
    return base + total / np.where(divisor == 0, 1, divisor)


def ram(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str, plus: bool) -> Array:
    deltas = [v - base for v in x]
    active = [infinite(np.abs(d)) > p.get("epsilon", 1e-5) for d in deltas]
    count = sum(a.astype(int) for a in active)
    total = np.zeros_like(base)
    for d, a in zip(deltas, active, strict=True):
        factor = 1.0
        if plus:
            own_count, shared = np.sum(a & (count == 1)), np.sum(a & (count > 1))
            ratio = shared / own_count if own_count else 0.0
            factor = 1 + p.get("r", 0.1) * np.clip(ratio, 0, p.get("alpha", 0.2))
        total = total + np.where(a, np.where(count > 1, d, factor * d), 0)
    return base + np.where(count > 1, total / np.maximum(count, 1), total)


def nearswap(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str) -> Array:
    w = np.clip(p["t"] / np.maximum(np.abs(base - x[0]), 1e-6), 0, 1)
    return w * x[0] + (1 - w) * base


def arcee_fusion(x: list[Array], base: Array, own: Own, p: dict[str, Any], mode: str) -> Array:
    def softmax(v: Array) -> Array:
        e = np.exp(v - v.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    pv, qv = softmax(x[0]), softmax(base)
    moved = np.sum(pv * np.log(pv / qv), -1, keepdims=True)
    importance = infinite(np.abs(np.abs(x[0] - base) * moved))
    low, middle, high = np.quantile(importance, [0.25, 0.5, 0.75])
    return base + np.where(importance >= middle + 1.5 * (high - low), x[0] - base, 0)


def passthrough(x: list[Array], base: Any, own: Own, p: dict[str, Any], mode: str) -> Array:
    return own[0].get("scale", 1.0) * x[0]


def merged(
    method: str, name: str, x: list[Array], base: Array | None, own: Own, p: dict[str, Any],
    mode: str = "strict", seed: int = 0,
) -> Array:  # fmt: skip
    """What `method` makes of one tensor, in float64."""
    plain = {
        "linear": linear, "slerp": slerp, "nuslerp": nuslerp, "multislerp": multislerp,
        "karcher": karcher, "model_stock": model_stock, "sce": sce, "nearswap": nearswap,
        "arcee_fusion": arcee_fusion, "passthrough": passthrough,
    }  # fmt: skip
    if method in plain:
        return plain[method](x, base, own, p, mode)
    if method in ("ram", "ramplus_tl"):
        return ram(x, base, own, p, mode, method == "ramplus_tl")
    elect = method in ("ties", "dare_ties", "breadcrumbs_ties", "della")
    rescale = p.get("rescale", method.startswith(("dare", "della")))
    random = method.startswith(("dare", "della"))
    unbiased = bool(rescale) and mode == "strict" and random
    drop: Drop = {"task": everything, "ties": largest, "breadcrumbs": without_outliers}.get(
        method.split("_")[0], everything
    )
    if random:
        make = bernoulli if method.startswith("dare") else magprune
        drop = make(name, x, seed, unbiased)
    l1 = bool(rescale) and not unbiased and method != "task_arithmetic"
    return frame(x, base, own, p, drop, elect, l1, method in ("ties", "della"))


METHODS = [entry["name"] for entry in _files.merge_methods()]
