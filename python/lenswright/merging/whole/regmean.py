"""RegMean: the matrix that answers each model's inputs most as that model does."""

from __future__ import annotations

import torch

from lenswright.merging.whole.problem import Problem


def regmean(problem: Problem) -> torch.Tensor:
    """(Σ w W G̃)(Σ w G̃)⁺ with G̃ = α G + (1 - α) diag(G), G = XᵀX of the inputs of each model.

    The least of Σ w ‖X (M - W)ᵀ‖² for α = 1. A tensor of which no inputs were measured (norms,
    tables) is the weighted mean, as in the paper.

    Source: Jin et al. 2023, arXiv:2212.09849, equation 2 and section 4.2 (α).
    """
    grams = [g for i in range(len(problem.models)) if (g := problem.statistic(i)) is not None]
    if not grams:
        return problem.weighted_mean()
    alpha = problem.values["alpha"]
    width = problem.models[0].shape[-1]
    top = torch.zeros_like(problem.models[0])
    bottom = torch.zeros(width, width, dtype=top.dtype)
    for weight, model, gram in zip(problem.weights(), problem.models, grams, strict=True):
        shrunk = weight * (alpha * gram + (1 - alpha) * torch.diag(gram.diagonal()))
        top += model @ shrunk
        bottom += shrunk
    return top @ torch.linalg.pinv(bottom, hermitian=True)
