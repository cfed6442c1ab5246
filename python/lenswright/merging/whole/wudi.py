"""WUDI-Merging in closed form: the task vector that interferes least with each task."""

from __future__ import annotations

import torch

from lenswright.merging.whole.problem import Problem

_RELATIVE = 1e-10  # eigenvalues below this share of the largest count as none


def wudi(problem: Problem) -> torch.Tensor:
    """base + λ τ with τ the least of Σᵢ ‖(τ - τᵢ) τᵢᵀ‖² / ‖τᵢ‖², nearest to Σ τᵢ where many are.

    The rows of a task vector span the inputs that its task is about, so this needs no data. The sum
    is quadratic: with Aᵢ = τᵢᵀ τᵢ / ‖τᵢ‖² and S = Σ τᵢ, τ = S + Σᵢ (τᵢ - S) Aᵢ · (Σ Aᵢ)⁺. The paper
    goes there from S by gradient descent. What is no matrix of a layer gets the mean of δ.

    Source: Cheng et al. 2025, arXiv:2503.08099, equation 9.
    """
    assert problem.base is not None
    deltas, factor = problem.deltas(), problem.values["lambda"]
    total = torch.stack(deltas).sum(0)
    if not problem.is_matrix:
        return problem.base + factor * total / len(deltas)
    width = total.shape[-1]
    sums = torch.zeros(*total.shape[:-2], width, width, dtype=total.dtype)
    right = torch.zeros_like(total)
    for delta in deltas:
        size = delta.square().sum((-2, -1), keepdim=True)
        gram = torch.where(size > 0, delta.mT @ delta / size.clamp_min(1e-300), 0.0)
        sums += gram
        right += (delta - total) @ gram
    inverse = torch.linalg.pinv(sums, rtol=_RELATIVE, hermitian=True)
    return problem.base + factor * (total + right @ inverse)
