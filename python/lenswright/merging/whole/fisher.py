"""Fisher merging: every number by how much the model's answers hang on it."""

from __future__ import annotations

import torch

from lenswright.merging.whole.problem import Problem


def fisher(problem: Problem) -> torch.Tensor:
    """Σ w F x / Σ w F, F the diagonal Fisher information of each model, `floor` at least.

    Source: Matena and Raffel 2022, arXiv:2111.09832, equation 5.
    """
    top = torch.zeros_like(problem.models[0])
    bottom = torch.zeros_like(top)
    for i, (weight, model) in enumerate(zip(problem.weights(), problem.models, strict=True)):
        information = problem.statistic(i)
        assert information is not None
        share = weight * information.clamp_min(problem.values["floor"])
        top += share * model
        bottom += share
    return torch.where(bottom != 0, top / bottom, problem.weighted_mean())
