"""What the dimensions of a decoder's weights are: axes, by the weights' canonical names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RESIDUAL = "residual"
PARTS: dict[str, tuple[str, ...]] = {
    "mlp": ("mlp",), "heads": ("key", "query"), "experts": ("expert",),
    "latents": ("q_latent", "kv_latent"), "residual": (RESIDUAL,),
}  # fmt: skip
"""What may be asked to move, and the kinds of axes that are part of it."""

Span = tuple[str | None, int]
"""An axis, None where nothing may move, and how many numbers along it are its own."""

_MLP: dict[str, tuple[str | None, ...]] = {
    "W_in": ("mlp", RESIDUAL), "W_gate": ("mlp", RESIDUAL), "W_out": (RESIDUAL, "mlp"),
    "b_in": ("mlp",), "b_gate": ("mlp",), "b_out": (RESIDUAL,),
}  # fmt: skip
_BLOCK: dict[str, tuple[str | None, ...]] = {
    **{f"{norm}.{part}": (RESIDUAL,) for norm in ("ln1", "ln1_post", "ln2", "ln2_post")
       for part in "wb"},
    "attn.W_Q": ("query", RESIDUAL), "attn.W_K": ("key", RESIDUAL), "attn.W_V": ("key", RESIDUAL),
    "attn.b_Q": ("query",), "attn.b_K": ("key",), "attn.b_V": ("key",),
    "attn.W_O": (RESIDUAL, "query"), "attn.b_O": (RESIDUAL,), "attn.sinks": ("query",),
    "attn.W_DQ": ("q_latent", RESIDUAL), "attn.b_DQ": ("q_latent",),
    "attn.q_latent_norm.w": ("q_latent",), "attn.kv_latent_norm.w": ("kv_latent",),
    "attn.W_DKV": ("kv_latent", RESIDUAL), "attn.b_DKV": ("kv_latent",),
    **{f"mlp.{name}": axes for name, axes in _MLP.items()},
    "mlp.W_router": ("expert", RESIDUAL), "mlp.b_router": ("expert",),
    "mlp.router_correction": ("expert",), "mlp.W_shared_gate": (None, RESIDUAL),
    **{f"mlp.{name}": () for name in ("alpha_p", "alpha_n", "beta", "eps")},
}  # fmt: skip
_OUTSIDE: dict[str, tuple[str | None, ...]] = {
    "embed.W_E": (None, RESIDUAL), "embed.W_proj": (RESIDUAL, None), "embed.ln.w": (RESIDUAL,),
    "embed.ln.b": (RESIDUAL,), "pos_embed.W_pos": (None, RESIDUAL), "ln_final.w": (RESIDUAL,),
    "ln_final.b": (RESIDUAL,), "unembed.W_proj": (None, RESIDUAL), "unembed.W_U": (None, RESIDUAL),
    "unembed.b_U": (None,),
}  # fmt: skip
_IN_BLOCK = re.compile(r"blocks\.(\d+)\.(.*)")
_OF_MLP = re.compile(r"mlp\.(experts\.\d+|shared)\.(.*)")
_HEAD_NORM = re.compile(r"attn\.([qk])_norm\.(?:(\d+)\.)?[wb]")


@dataclass(frozen=True)
class Axis:
    """Units that move together; groups of them, next to one another, move as wholes."""

    units: int
    groups: int = 1


def axes_of(sizes: Mapping[str, Any]) -> dict[str, Axis]:
    """Axes that have fewer units than numbers, or groups: of heads, and of experts."""
    out = {}
    for layer in range(sizes["n_layers"]):
        out[f"{layer}.key"] = Axis(sizes["n_kv_heads"])
        out[f"{layer}.query"] = Axis(sizes["n_heads"], sizes["n_kv_heads"])
        if sizes["experts"]:
            out[f"{layer}.expert"] = Axis(sizes["experts"], sizes["expert_groups"])
    return out


def kind_of(axis: str) -> str:
    """ "mlp" of "3.experts.5.mlp"."""
    return axis.rpartition(".")[2]


def part_of(axis: str) -> str:
    """Of PARTS."""
    return next(part for part, kinds in PARTS.items() if kind_of(axis) in kinds)


def spans_of(name: str, shape: list[int], sizes: Mapping[str, Any]) -> tuple[Span, ...]:
    """What the dimensions of a weight are, by its canonical name."""
    found = _IN_BLOCK.fullmatch(name)
    if found is None:
        axes = _OUTSIDE[name]
        if sizes["d_embed"] and name in ("embed.W_E", "unembed.W_U"):
            axes = (None, None)
        return tuple(zip(axes, shape, strict=True))
    layer, rest = found[1], found[2]
    if mlp := _OF_MLP.fullmatch(rest):
        axes, within = _MLP[mlp[2]], f"{mlp[1]}."
    elif norm := _HEAD_NORM.fullmatch(rest):
        axes, within = _of_head_norm(norm[1], norm[2], shape, sizes), ""
    else:
        axes, within = _latent(rest, _BLOCK[rest], sizes), ""
    axes = (None,) * (len(shape) - len(axes)) + axes  # ERNIE's corrections are [1, experts]
    named = [a if a in (None, RESIDUAL) else f"{layer}.{within}{a}" for a in axes]
    extents = {"q_latent": sizes["q_rank"], "kv_latent": sizes["kv_rank"]}
    return tuple(
        (axis, extents.get(kind_of(axis or ""), size))
        for axis, size in zip(named, shape, strict=True)
    )


def _latent(
    rest: str, axes: tuple[str | None, ...], sizes: Mapping[str, Any]
) -> tuple[str | None, ...]:
    if sizes["kv_rank"] and rest in ("attn.W_K", "attn.W_V"):
        return (axes[0], "kv_latent")
    if sizes["q_rank"] and rest == "attn.W_Q":
        return (axes[0], "q_latent")
    return axes


def _of_head_norm(
    which: str, head: str | None, shape: list[int], sizes: Mapping[str, Any]
) -> tuple[str | None, ...]:
    axis = {"q": "query", "k": "key"}[which]
    if len(shape) == 2:
        return (axis, None)  # a gain of its own for each head
    return (axis,) if sizes["flat_head_norms"] and head is None else (None,)


def unit_of(name: str) -> tuple[str, int] | None:
    """Of a weight that one expert or one head has for itself: the axis, and its place there."""
    found = _IN_BLOCK.fullmatch(name)
    if found is None:
        return None
    if (mlp := _OF_MLP.fullmatch(found[2])) and mlp[1] != "shared":
        return f"{found[1]}.expert", int(mlp[1].partition(".")[2])
    if (norm := _HEAD_NORM.fullmatch(found[2])) and norm[2] is not None:
        return f"{found[1]}.{'query' if norm[1] == 'q' else 'key'}", int(norm[2])
    return None


def with_unit(name: str, unit: int) -> str:
    """The canonical name of the same weight of another expert or head."""
    return re.sub(r"\.(experts|q_norm|k_norm)\.\d+\.", rf".\1.{unit}.", name)
