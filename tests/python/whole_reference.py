"""Methods of whole matrices, written out plainly in NumPy."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
BEYOND = ["ema", "fisher", "interpolate", "iso_c", "regmean", "tsv", "wudi"]
"""Methods that mergekit has not."""
WEIGHTS = [1.0, 0.7, 1.3]


def in_layer(name: str, x: Array) -> bool:
    return ".layers." in name and x.ndim > 1


def mean_delta(x: list[Array], base: Array, weights: list[float]) -> Array:
    return base + 0.8 * sum(w * (v - base) for w, v in zip(weights, x, strict=True)) / len(x)


def tsv(name: str, x: list[Array], base: Array) -> Array:
    if not in_layer(name, base):
        return mean_delta(x, base, WEIGHTS)
    left, right, values = [], [], []
    for w, v in zip(WEIGHTS, x, strict=True):
        u, s, vt = np.linalg.svd(v - base, full_matrices=False)
        for j in range(max(1, min(base.shape) // len(x))):
            left.append(u[:, j])
            right.append(vt[j])
            values.append(w * s[j])
    order = np.argsort(-np.abs(values), kind="stable")[: min(base.shape)]
    order = order if len(values) > min(base.shape) else np.arange(len(values))

    def polar(columns: list[Array]) -> Array:
        u, _, vt = np.linalg.svd(np.stack([columns[i] for i in order], 1), full_matrices=False)
        return u @ vt

    return base + 0.8 * polar(left) @ np.diag([values[i] for i in order]) @ polar(right).T


def iso_c(name: str, x: list[Array], base: Array) -> Array:
    if not in_layer(name, base):
        return mean_delta(x, base, WEIGHTS)
    total = sum(w * (v - base) for w, v in zip(WEIGHTS, x, strict=True))
    u, s, vt = np.linalg.svd(total, full_matrices=False)
    return base + 0.8 * s.mean() * u @ vt


def wudi(name: str, x: list[Array], base: Array) -> Array:
    """As one least-squares problem, all tasks' rows side by side."""
    if not in_layer(name, base):
        return mean_delta(x, base, [1.0] * len(x))
    tasks = [v - base for v in x]
    sizes = [np.linalg.norm(t) for t in tasks]
    if not any(sizes):
        return base
    inputs = np.hstack([t.T / s for t, s in zip(tasks, sizes, strict=True)])
    wanted = np.hstack([t @ t.T / s for t, s in zip(tasks, sizes, strict=True)])
    total = sum(tasks)
    return base + 0.8 * (total + (wanted - total @ inputs) @ np.linalg.pinv(inputs, rcond=1e-6))


REFERENCE = {"tsv": tsv, "iso_c": iso_c, "wudi": wudi}
