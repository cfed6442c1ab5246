"""TSV-Merge: the leading singular vectors of each task, made orthogonal between tasks."""

from __future__ import annotations

import torch

from lenswright.merging.whole.problem import Problem


def tsv(problem: Problem) -> torch.Tensor:
    """base + λ U⊥ Σ V⊥ᵀ: of each δᵢ = Uᵢ Σᵢ Vᵢᵀ the first r / n singular vectors, side by side in U
    and V, and of each the nearest matrix with orthonormal columns (P Qᵀ of U = P D Qᵀ).

    Weights are factors of Σᵢ. What is no matrix of a layer gets the mean of w δ. Experts in one
    tensor are matrices by themselves.

    Source: Gargiulo et al. 2025, arXiv:2412.00081, algorithm 1 (TSV-M).
    """
    assert problem.base is not None
    deltas, weights, factor = problem.deltas(), problem.weights(), problem.values["lambda"]
    if not problem.is_matrix:
        mean = sum((w * d for w, d in zip(weights, deltas, strict=True)), torch.zeros(()))
        return problem.base + factor * mean / len(deltas)
    least = min(deltas[0].shape[-2:])
    kept = max(1, least // len(deltas))
    lefts, values, rights = [], [], []
    for weight, delta in zip(weights, deltas, strict=True):
        u, s, vt = torch.linalg.svd(delta, full_matrices=False)
        lefts.append(u[..., :, :kept])
        values.append(weight * s[..., :kept])
        rights.append(vt[..., :kept, :].mT)
    # Of more tasks than the matrix has directions, the strongest.
    scales = torch.cat(values, -1)
    left, right = torch.cat(lefts, -1), torch.cat(rights, -1)
    if scales.shape[-1] > least:
        best = scales.abs().argsort(dim=-1, descending=True, stable=True)[..., :least]
        scales = scales.gather(-1, best)
        left = left.gather(-1, best[..., None, :].expand(*left.shape[:-1], least))
        right = right.gather(-1, best[..., None, :].expand(*right.shape[:-1], least))
    return (
        problem.base + factor * (_orthonormal(left) * scales[..., None, :]) @ _orthonormal(right).mT
    )


def _orthonormal(columns: torch.Tensor) -> torch.Tensor:
    p, _, qt = torch.linalg.svd(columns, full_matrices=False)
    return p @ qt
