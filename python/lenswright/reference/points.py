"""What each point name means: formulas over the raw tensors of a `transformers` run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from lenswright.reference import mixtures
from lenswright.reference.attention import attention_points
from lenswright.reference.norms import norm_points

if TYPE_CHECKING:
    from lenswright.reference.model import Reference

Table = dict[str, Callable[[], Tensor]]

EXPANDED = frozenset(
    {"hook_tokens", "hook_attn_in", "hook_q_input", "hook_k_input", "hook_v_input", "hook_mlp_in",
     "attn.hook_result"}
)  # fmt: skip
"""Sites that exist only when they are named: copies of the residual, and results per head."""


def site(name: str) -> str:
    """The point name without its layer: `blocks.3.attn.hook_z` -> `attn.hook_z`."""
    return name.split(".", 2)[2] if name.startswith("blocks.") else name


def is_expanded(name: str) -> bool:
    """Whether a point exists only when it is named."""
    return site(name) in EXPANDED


def values(ref: Reference, raw: Mapping[str, Tensor], grads: bool = False) -> Table:
    """{point name: a call that computes the tensor from `raw`}, for every point of the model.

    grads: `raw` holds gradients; only points that are linear in one raw tensor are listed.
    """
    p = ref.parts
    table: Table = {
        "hook_tokens": lambda: raw["tokens"],
        # Without positions to add, what enters the first block is the embedding, however scaled.
        "hook_embed": lambda: raw["embed" if p.positions else "0.resid_pre"],
        "unembed.hook_in": lambda: raw["unembed_in"],
        "unembed.hook_out": lambda: raw["unembed_out"],
    }
    if p.positions:
        # The position table is looked up once for all rows.
        table["hook_pos_embed"] = lambda: raw["pos_embed"].expand_as(raw["embed"])
    for name, path in (("embed.ln", p.embed_norm), ("ln_final", p.final_norm)):
        if path:
            key = "ln_final" if path == p.final_norm else "embed_norm"
            table |= norm_points(name, ref.find(path), lambda key=key: raw[key])  # type: ignore[misc]
    for layer in range(ref.n_layers):
        own = {key.removeprefix(f"{layer}."): value for key, value in raw.items()}
        for name, value in _block(ref, layer, own, grads).items():
            table[f"blocks.{layer}.{name}"] = value
    if not grads:
        return table
    derived = ("hook_scale", "hook_normalized", "hook_pos_embed", *EXPANDED)
    return {name: value for name, value in table.items() if not name.endswith(derived)}


def _block(ref: Reference, layer: int, raw: Mapping[str, Tensor], grads: bool) -> Table:
    p = ref.parts
    mid = "resid_pre" if p.parallel else "resid_mid"

    def copies(heads: int) -> Callable[[], Tensor]:
        return lambda: raw["resid_pre"].unsqueeze(2).expand(-1, -1, heads, -1)

    def whole(key: str) -> Callable[[], Tensor]:
        # Some families flatten batch and position around the MLP.
        return lambda: raw[key].reshape(*raw["tokens"].shape, -1)

    def added(branch: str, post: str | None) -> Callable[[], Tensor]:
        if ref.find(post, layer) is not None:
            branch, multiplier = branch.replace("raw", "out"), 1.0
        else:
            multiplier = 1 / p.residual if grads else p.residual
        return lambda: whole(branch)() * multiplier

    table: Table = {
        "hook_resid_pre": whole("resid_pre"),
        "hook_resid_post": whole("resid_post"),
        "hook_attn_in": copies(ref.n_heads),
        "hook_q_input": copies(ref.n_heads),
        "hook_k_input": copies(ref.n_kv),
        "hook_v_input": copies(ref.n_kv),
        "hook_mlp_in": whole(mid),
        "attn.hook_out": whole("attn_raw"),
        "hook_attn_out": added("attn_raw", p.ln1_post),
        "mlp.hook_out": whole("mlp_raw"),
        "hook_mlp_out": added("mlp_raw", p.ln2_post),
    }
    if not p.parallel:
        table["hook_resid_mid"] = whole("resid_mid")
    table |= _norms(ref, layer, table, whole)
    table |= attention_points(ref, layer, raw, grads)
    if ref.is_mixture(layer):
        return table | mixtures.points(ref, layer, dict(raw), grads)
    return table | _dense(ref, layer, whole)


def _norms(
    ref: Reference, layer: int, table: Table, whole: Callable[[str], Callable[[], Tensor]]
) -> Table:
    p = ref.parts

    def summed(residual: str, branch: str) -> Callable[[], Tensor]:
        return lambda: table[residual]() + table[branch]()

    if p.behind:
        sources = {
            "ln1": (p.ln1, summed("hook_resid_pre", "hook_attn_out")),
            "ln2": (p.ln2, summed("hook_resid_mid", "hook_mlp_out")),
        }
    else:
        sources = {"ln1": (p.ln1, whole("resid_pre")), "ln2": (p.ln2, table["hook_mlp_in"])}
    sources["ln1_post"] = (p.ln1_post, whole("attn_raw"))
    sources["ln2_post"] = (p.ln2_post, whole("mlp_raw"))
    found: Table = {}
    for name, (path, source) in sources.items():
        if (module := ref.find(path, layer)) is not None:
            found |= norm_points(name, module, source)
    return found


def _dense(ref: Reference, layer: int, whole: Callable[[str], Callable[[], Tensor]]) -> Table:
    p = ref.parts
    table = {"mlp.hook_post": whole("post")}
    if p.gate_up:
        table["mlp.hook_pre"] = lambda: whole("gate_up")().chunk(2, dim=-1)[0]
        table["mlp.hook_pre_linear"] = lambda: whole("gate_up")().chunk(2, dim=-1)[1]
    elif p.gate:
        table["mlp.hook_pre"], table["mlp.hook_pre_linear"] = whole("gate"), whole("up")
    else:
        table["mlp.hook_pre"] = whole("up")
    return table
