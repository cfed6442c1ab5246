"""Iso-C: the sum of task vectors with all its singular values alike."""

from __future__ import annotations

import torch

from lenswright.merging.whole.problem import Problem


def iso_c(problem: Problem) -> torch.Tensor:
    """base + λ σ̄ U Vᵀ of Σ w δ = U Σ Vᵀ, σ̄ the mean singular value.

    What is no matrix of a layer gets the mean of w δ.

    Source: Marczak et al. 2025, arXiv:2502.04959, algorithm 1 (Iso-C).
    """
    assert problem.base is not None
    deltas, weights, factor = problem.deltas(), problem.weights(), problem.values["lambda"]
    total = torch.zeros_like(problem.base)
    for weight, delta in zip(weights, deltas, strict=True):
        total += weight * delta
    if not problem.is_matrix:
        return problem.base + factor * total / len(deltas)
    u, s, vt = torch.linalg.svd(total, full_matrices=False)
    return problem.base + factor * s.mean(-1)[..., None, None] * (u @ vt)
