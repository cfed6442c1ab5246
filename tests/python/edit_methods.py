"""Every method of edits twice: as the library makes it, and as its formula, plainly, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import lenswright as lw
from editing import direction

Tensor = torch.Tensor
Changed = tuple[Tensor, Tensor | None]
STRENGTH = 0.7  # neither 0, 1 nor 2: a method that ignores it is found out
RIDGE = 0.3


@dataclass(frozen=True)
class Written:
    """A writer as the formulas see it: W [out, in] and b [out] in float64, directions before it."""

    w: Tensor
    b: Tensor | None
    v: Tensor  # [k, out], of length 1
    read: Tensor  # the same of what is read along
    into: Tensor  # directions as they have to be written before the writer's norm, of length 1
    vector: bool  # W has one input only: it is a bias


def left(p: Tensor, x: Written) -> Changed:
    return p @ x.w, None if x.b is None else p @ x.b


def projection(v: Tensor, strength: float) -> Tensor:
    return torch.eye(v.shape[-1], dtype=v.dtype) - strength * v.T @ v


def plain(x: Written, strength: float = STRENGTH) -> Changed:
    return left(projection(x.v[:1], strength), x)


def write_norm(x: Written) -> Changed:
    w, b = plain(x)
    if x.vector:
        return w, b
    return w / w.norm(dim=0) * x.w.norm(dim=0), b


def row_oblique(x: Written) -> Changed:
    if x.vector:
        return plain(x)
    d = torch.diag(x.w.norm(dim=1))
    p = torch.eye(len(d), dtype=d.dtype) - STRENGTH * d @ x.v[:1].T @ x.v[:1] @ d.inverse()
    return left(p, x)


def row_norm(x: Written) -> Changed:
    if x.vector:
        return plain(x)
    w, b = row_oblique(x)
    s = x.w.norm(dim=1) / w.norm(dim=1)
    return s[:, None] * w, None if b is None else s * b


def oblique(x: Written) -> Changed:
    a, b = x.into.T, x.read.T
    p = torch.eye(len(a), dtype=a.dtype) - STRENGTH * a @ torch.linalg.inv(b.T @ a) @ b.T
    return left(p, x)


def subspace(x: Written) -> Changed:
    p = torch.eye(x.v.shape[-1], dtype=x.v.dtype) - STRENGTH * x.v.T @ torch.linalg.pinv(x.v).T
    return left(p, x)


def ridge(x: Written) -> Changed:
    r = x.v.T
    inner = torch.linalg.inv(r.T @ r + RIDGE * torch.eye(r.shape[1], dtype=r.dtype))
    return left(torch.eye(len(r), dtype=r.dtype) - STRENGTH * r @ inner @ r.T, x)


@dataclass(frozen=True)
class Method:
    """How the library makes it, of directions [2, d_model] and others, and the formula."""

    make: Callable[[lw.Model, Tensor, Tensor], lw.edits.Edit]
    formula: Callable[[Written], Changed]
    several: bool = False
    reads: bool = False
    projected: bool = False


def ablated(method: str, **more: Any) -> Callable[[lw.Model, Tensor, Tensor], lw.edits.Edit]:
    def make(model: lw.Model, v: Tensor, other: Tensor) -> lw.edits.Edit:
        given = {k: other if value is True else value for k, value in more.items()}
        first = v if method in ("oblique", "subspace", "ridge") else v[0]
        return lw.edits.ablate(model, first, method, strength=STRENGTH, **given)

    return make


METHODS = {
    "plain": Method(ablated("plain"), plain),
    "projected": Method(ablated("projected", against=True), plain, projected=True),
    "write_norm": Method(ablated("write_norm"), write_norm),
    "row_norm": Method(ablated("row_norm"), row_norm),
    "row_oblique": Method(ablated("row_oblique"), row_oblique),
    "oblique": Method(ablated("oblique", read=True), oblique, several=True, reads=True),
    "subspace": Method(ablated("subspace"), subspace, several=True),
    "ridge": Method(ablated("ridge", ridge=RIDGE), ridge, several=True),
    "reflection": Method(ablated("reflection"), lambda x: plain(x, 2 * STRENGTH)),
    "strengthen": Method(ablated("strengthen"), lambda x: plain(x, -STRENGTH)),
}


def directions(model: lw.Model) -> Tensor:
    """[2, d_model]."""
    return torch.stack([direction(model, seed) for seed in range(2)])


def others(model: lw.Model) -> Tensor:
    """Two more: what is read along, or what directions are made orthogonal to."""
    return torch.stack([direction(model, 5 + seed) + direction(model, seed) for seed in range(2)])


def gain(model: lw.Model, writer: dict[str, Any]) -> tuple[Tensor, bool]:
    """What the norm behind a writer multiplies by, and whether it takes the mean out first."""
    width = model.cfg.d_model
    stored = model.weights().get(f"{writer['norm']}.w")
    if not writer["norm"] or stored is None:
        own = torch.ones(width, dtype=torch.float64)
    else:
        own = stored.double() + model.spec["norm_offset"]
    return own, bool(writer["norm"]) and model.spec["norm"] == "layer"


def length_one(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True)


def written(model: lw.Model, writer: dict[str, Any], method: Method) -> Written:
    """A writer with everything the formulas need."""
    tensors, v, other = model.parameters(), directions(model), others(model)
    stored = tensors[writer["weight"]].double()
    stored = stored if writer["slice"] < 0 else stored[writer["slice"]]
    stored = torch.atleast_2d(stored)
    bias = tensors[writer["bias"]].double() if writer["bias"] else None
    if bias is not None and writer["slice"] >= 0:
        bias = bias[writer["slice"]]
    if method.projected:
        v = v - v @ torch.linalg.pinv(other) @ other
    g, centred = gain(model, writer)

    def mean_out(x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True) if centred else x

    before = length_one(mean_out(g * (v if method.several else v[:1])))
    return Written(
        stored if writer["residual_axis"] == 0 else stored.T, bias, before,
        length_one(mean_out(g * other)), length_one(mean_out(v / g)),
        writer["kind"] == "embedding_norm",
    )  # fmt: skip
