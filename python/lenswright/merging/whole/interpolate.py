"""From a base to a model on straight lines: head by head, and inside a subspace apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenswright.merging.alignment.axes import RESIDUAL, kind_of
from lenswright.merging.alignment.places import Place, Places
from lenswright.merging.whole.problem import Problem

if TYPE_CHECKING:
    from lenswright.checkpoints.checkpoint import Checkpoint

_WRITTEN = ("b_O", "b_out", "embed.ln.b")  # vectors that are added to the residual stream


def interpolate(problem: Problem) -> torch.Tensor:
    """base + t δ; the model's `statistics` file may say more.

    heads, [layers, query heads]: t of each head, for its rows of queries and columns of the output
    matrix; keys and values take the mean of the query heads they serve. subspace, [k, d_model]:
    inside the span of these rows δ counts `t_subspace` times, on whichever side of a matrix the
    residual stream is, and in biases that are added to it; gains of norms are no vectors of it. For
    every family that can be loaded.
    """
    assert problem.base is not None
    delta, t = problem.models[0] - problem.base, problem.values["t"]
    out = problem.base + t * delta
    heads, rows = problem.extra("heads"), problem.extra("subspace")
    if heads is None and rows is None:
        return out
    places = problem.places()
    basis = None if rows is None else torch.linalg.qr(rows.t())[0]
    for place in places.by_source.get(problem.tensor, ()):
        base, own = place.read(problem.base), place.read(delta)
        share = torch.full([1] * own.ndim, t, dtype=own.dtype)
        if heads is not None:
            share = _by_head(place, places, heads, share)
        value = base + share * own
        if basis is not None and (inside := _inside(place, own, basis)) is not None:
            value += (problem.values.get("t_subspace", t) - share) * inside
        place.write(out, value)
    return out


def _inside(place: Place, delta: torch.Tensor, basis: torch.Tensor) -> torch.Tensor | None:
    """What of a change lies in the span of the basis; None where it has no side in the stream."""
    axes = [axis for axis, _ in place.spans]
    if RESIDUAL not in axes or (len(axes) == 1 and not place.name.endswith(_WRITTEN)):
        return None
    if axes.index(RESIDUAL) == 0:
        return basis @ (basis.t() @ delta)
    return (delta @ basis) @ basis.t()


def _by_head(
    place: Place, places: Places, heads: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    def of(axis: str) -> torch.Tensor:
        own = heads[int(axis.partition(".")[0])]
        groups = places.sizes["n_kv_heads"]
        return own.view(groups, -1).mean(1) if kind_of(axis) == "key" else own

    if place.unit is not None and kind_of(place.unit[0]) in ("key", "query"):
        return of(place.unit[0])[place.unit[1]].view(share.shape)
    for at, (axis, extent) in enumerate(place.spans):
        if axis is not None and kind_of(axis) in ("key", "query"):
            shape = [1] * len(place.spans)
            shape[at] = -1
            each = of(axis)
            share = each.repeat_interleave(extent // len(each)).view(shape)
    return share


def check_shares(file: Checkpoint, places: Places) -> None:
    """What a file says of heads and of a subspace fits a model.

    Raises:
        ValueError: tensors of other names or shapes.
    """
    sizes = places.sizes
    for name in file:
        found = list(file.info(name).shape)
        if name == "heads":
            wanted: list[int | str] = [sizes["n_layers"], sizes["n_heads"]]
            fits = found == wanted
        elif name == "subspace":
            wanted = ["k", sizes["d_model"]]
            fits = len(found) == 2 and found[1] == sizes["d_model"]
        else:
            raise ValueError(f"statistics has '{name}', expected 'heads' and 'subspace'")
        if not fits:
            raise ValueError(f"statistics: {name} is {found}, expected {wanted}")
