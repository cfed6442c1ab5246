"""Least squares from sums of products alone, with weights that may be asked not to be negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAME = 1e-10  # of the largest eigenvalue: what is smaller is no direction of its own


@dataclass
class Fit:
    """Weights, their covariance, and what is left of the target's square."""

    weights: Array
    covariance: Array
    residual: float  # sum of squares


def fit(gram: Array, products: Array, square: float, count: int, positive: bool) -> Fit:
    """Minimise |x - Σ w_i v_i|².

    Args:
        gram: ⟨v_i, v_j⟩ [k, k].
        products: ⟨v_i, x⟩ [k].
        square: |x|².
        count: of elements, for the covariance s² G⁻¹, s² = residual / (count - k).
        positive: no weight below 0 (Lawson and Hanson 1974, chapter 23, on the normal equations as
            Bro and de Jong 1997, J. Chemometrics 11, 393).

    Where some v are sums of others, the weights of the least length are taken.
    """
    scale = np.sqrt(np.diag(gram))
    scale = np.where(scale > 0, scale, 1.0)
    g, p = gram / np.outer(scale, scale), products / scale
    w = _positive(g, p) if positive else _solve(g, p)
    residual = max(0.0, float(square - 2 * w @ p + w @ g @ w))
    used = w != 0 if positive else np.full(len(w), True)
    covariance = np.zeros_like(g)
    if used.any() and count > used.sum():
        inside = np.ix_(used, used)
        inverse = np.linalg.pinv(g[inside], rcond=SAME, hermitian=True)
        covariance[inside] = residual / (count - used.sum()) * inverse
    return Fit(w / scale, covariance / np.outer(scale, scale), residual)


def _solve(g: Array, p: Array) -> Array:
    return np.asarray(np.linalg.pinv(g, rcond=SAME, hermitian=True) @ p)


def _positive(g: Array, p: Array) -> Array:
    k = len(p)
    w, inside = np.zeros(k), np.full(k, False)
    for _ in range(3 * k + 3):
        slope = np.where(inside, -np.inf, p - g @ w)
        best = int(np.argmax(slope))
        if inside.all() or slope[best] <= SAME * max(1.0, float(np.abs(p).max())):
            break
        inside[best] = True
        while True:
            trial = np.zeros(k)
            trial[inside] = _solve(g[np.ix_(inside, inside)], p[inside])
            wrong = inside & (trial <= 0)
            if not wrong.any():
                w = trial
                break
            steps = w[wrong] / (w[wrong] - trial[wrong])
            w = w + float(steps.min()) * (trial - w)
            inside &= w > SAME
            w[~inside] = 0.0
            if not inside.any():
                break
    return w


def dependent(gram: Array) -> bool:
    """Whether some of the vectors are sums of others, so that their weights cannot be told."""
    scale = np.sqrt(np.diag(gram))
    scale = np.where(scale > 0, scale, 1.0)
    values = np.linalg.eigvalsh(gram / np.outer(scale, scale))
    return bool(values.size and values[0] <= SAME * values[-1])
