"""From a base to a model on straight lines: head by head, and inside a subspace apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lenswright.merging.alignment.places import RESIDUAL, Sizes, axes_of
from lenswright.merging.whole.problem import Problem

if TYPE_CHECKING:
    from lenswright.checkpoints.checkpoint import Checkpoint


def interpolate(problem: Problem) -> torch.Tensor:
    """base + t δ; the model's `statistics` file may say more.

    heads, [layers, query heads]: t of each head, for its rows of queries and columns of the output
    matrix; keys and values take the mean of the query heads they serve. subspace, [k, d_model]:
    inside the span of these rows δ counts `t_subspace` times, on whichever side of a matrix the
    residual stream is; gains of norms are no vectors of it. For llama, mistral, qwen2 and qwen3.
    """
    assert problem.base is not None
    delta, t = problem.models[0] - problem.base, problem.values["t"]
    heads, rows = problem.extra("heads"), problem.extra("subspace")
    if heads is None and rows is None:
        return problem.base + t * delta
    axes = axes_of(problem.tensor)
    share = torch.full([1] * delta.ndim, t, dtype=delta.dtype)
    if heads is not None:
        share = _by_head(problem, axes, heads, share)
    if rows is None or RESIDUAL not in axes or delta.ndim < 2:
        return problem.base + share * delta
    place = axes.index(RESIDUAL)
    basis, _ = torch.linalg.qr(rows.t())
    inside = basis @ (basis.t() @ delta) if place == 0 else (delta @ basis) @ basis.t()
    return problem.base + share * (delta - inside) + problem.values.get("t_subspace", t) * inside


def _by_head(
    problem: Problem, axes: tuple[str | None, ...], heads: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    sizes = Sizes.of(problem.config)
    for place, axis in enumerate(axes):
        layer, _, kind = (axis or "").partition(".")
        if kind not in ("query", "key"):
            continue
        own = heads[int(layer)]
        if kind == "key":
            own = own.view(sizes.groups, -1).mean(1)
        shape = [1] * len(axes)
        shape[place] = -1
        share = own.repeat_interleave(sizes.width).view(shape)
    return share


def check_shares(
    tensor: str, shape: list[int], file: Checkpoint, config: Mapping[str, Any]
) -> None:
    """What a file says of heads and of a subspace fits a tensor.

    Raises:
        ValueError: tensors of other names or shapes; a family or tensor whose places are not known.
    """
    sizes, axes = Sizes.of(config), axes_of(tensor)
    for name in file:
        found = list(file.info(name).shape)
        if name == "heads":
            wanted: list[Any] = [int(config["num_hidden_layers"]), sizes.heads]
            fits = found == wanted
        elif name == "subspace":
            width = shape[axes.index(RESIDUAL)] if RESIDUAL in axes else found[-1]
            wanted = ["k", width]
            fits = len(found) == 2 and found[1] == width
        else:
            raise ValueError(f"statistics has '{name}', expected 'heads' and 'subspace'")
        if not fits:
            raise ValueError(f"statistics: {name} is {found}, expected {wanted}")
