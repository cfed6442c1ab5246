"""Cones: orthonormal directions, and whether they act independently of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.batches import batches
from lenswright.editing.ablation import ablation_taps
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.names import NameFilter
    from lenswright.prompting.prompts import Prompt


def orthonormal(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors [k, d] made orthonormal in their order (Gram and Schmidt, twice), float64.

    The first keeps its direction; each other keeps its side.

    Example:
        >>> lw.directions.orthonormal(torch.stack(list(found.per_layer(-1).values())[1:]))

    Raises:
        ValueError: they depend on each other to 1e-8.
    """
    basis: list[torch.Tensor] = []
    for index, vector in enumerate(vectors.double()):
        left = vector / vector.norm()
        for _ in range(2):
            for one in basis:
                left = left - one * (one @ left)
        if not left.norm() > 1e-8:
            raise ValueError(f"vectors: row {index} lies in the span of those before it")
        basis.append(left / left.norm())
    return torch.stack(basis)


def independence(
    model: Model,
    directions: torch.Tensor,
    prompts: Sequence[Prompt],
    points: NameFilter = "resid_post",
    offset: int = -1,
    batch_size: int = 32,
) -> torch.Tensor:
    """How much ablating one direction changes what activations say of another.

    For directions i and j and a point: the mean over prompts of |cos(x, v_j) - cos(x', v_j)|, x the
    activation at an offset of the unchanged run and x' that with v_i ablated from everything that
    is written. Orthogonal directions need not be independent: one may cause the other in a later
    layer.

    Example:
        >>> lw.directions.independence(model, basis, splits.fit.positive).amax((0, 1))

    Args:
        directions: [k, d_model], of any length but 0.
        prompts: texts to look at.
        points: residual points.
        offset: of the token, negative from the end.
        batch_size: prompts a run.

    Returns:
        [points, k, k] float64: ablated, looked at. The diagonal is the direction's own cosine.

    Raises:
        ValueError: directions of another width.

    Source: Wollschläger et al. 2025 (arXiv 2502.17420), definition of representational
    independence.
    """
    if directions.dim() != 2 or directions.shape[1] != model.cfg.d_model:
        raise ValueError(
            f"directions has shape {list(directions.shape)}, expected [k, {model.cfg.d_model}]"
        )
    units = directions.double() / directions.double().norm(dim=1, keepdim=True)
    names = model.names.resolve(points)
    rows = model.prompt_tokens([prompt.text for prompt in prompts])
    k = len(units)
    change = torch.zeros(len(names), k, k, dtype=torch.float64)
    with torch.no_grad():
        for some in batches(len(rows), batch_size):
            part = rows[some]
            base = _cosines(model, part, None, names, offset, units)
            for index, unit in enumerate(units):
                ablated = _cosines(model, part, unit, names, offset, units)
                change[:, index] += (ablated - base).abs().sum(1)
    return change / len(rows)


def _cosines(
    model: Model,
    rows: list[list[int]],
    ablated: torch.Tensor | None,
    names: Sequence[str],
    offset: int,
    units: torch.Tensor,
) -> torch.Tensor:
    """[points, rows, directions] of activations at an offset."""
    if ablated is None:
        taps = new_taps(model, rows)
    else:
        taps = ablation_taps(model, rows, ablated.expand(len(rows), -1))
    for name in names:
        taps.capture(name)
    run_taps(model, taps, rows)
    places = torch.tensor([len(row) + offset if offset < 0 else offset for row in rows])
    every = torch.arange(len(rows))
    stacked = torch.stack([taps.captured[name].cpu()[every, places].double() for name in names])
    return torch.nn.functional.normalize(stacked, dim=-1) @ units.t()
