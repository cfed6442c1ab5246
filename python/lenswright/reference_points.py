"""What each point name means: formulas over the raw tensors of a `transformers` run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.reference import Reference

Tensor = torch.Tensor
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


def values(ref: Reference, raw: Mapping[str, Tensor]) -> Table:
    """{point name: a call that computes the tensor from `raw`}, for every point of the model."""
    table: Table = {
        "hook_tokens": lambda: raw["tokens"],
        "hook_embed": lambda: raw["embed"],
        "unembed.hook_in": lambda: raw["unembed"],
        "unembed.hook_out": lambda: raw["logits"],
    }
    if ref.parts.positions:
        # The position table is looked up once for all rows.
        table["hook_pos_embed"] = lambda: raw["pos_embed"].expand_as(raw["embed"])
    table |= _norm("ln_final", ref.norm(), lambda: raw["ln_final"])
    for layer in range(ref.n_layers):
        own = {key.removeprefix(f"{layer}."): value for key, value in raw.items()}
        for name, value in _block(ref, layer, own).items():
            table[f"blocks.{layer}.{name}"] = value
    return table


def gradients(ref: Reference, raw: Mapping[str, Tensor], grads: Mapping[str, Tensor]) -> Table:
    """The same for gradients: the points that are plain views of a raw tensor, over `grads`."""
    table = values(ref, {"tokens": raw["tokens"], **grads})
    derived = ("hook_scale", "hook_normalized", "hook_pos_embed", *EXPANDED)
    return {name: value for name, value in table.items() if not name.endswith(derived)}


def _block(ref: Reference, layer: int, raw: Mapping[str, Tensor]) -> Table:
    def copies(key: str, heads: int) -> Callable[[], Tensor]:
        return lambda: raw[key].unsqueeze(2).expand(-1, -1, heads, -1)

    table: Table = {
        "hook_resid_pre": lambda: raw["resid_pre"],
        "hook_resid_mid": lambda: raw["resid_mid"],
        "hook_resid_post": lambda: raw["resid_post"],
        "hook_attn_in": copies("resid_pre", ref.n_heads),
        "hook_q_input": copies("resid_pre", ref.n_heads),
        "hook_k_input": copies("resid_pre", ref.n_kv),
        "hook_v_input": copies("resid_pre", ref.n_kv),
        "hook_mlp_in": lambda: raw["resid_mid"],
        "hook_attn_out": lambda: raw["attn_out"],
        "attn.hook_out": lambda: raw["attn_out"],
        "hook_mlp_out": lambda: raw["mlp_out"],
        "mlp.hook_out": lambda: raw["mlp_out"],
        "mlp.hook_pre": lambda: raw["gate" if ref.parts.gate else "up"],
        "mlp.hook_post": lambda: raw["post"],
    }
    if ref.parts.gate:
        table["mlp.hook_pre_linear"] = lambda: raw["up"]
    table |= _norm("ln1", ref.norm(layer, ref.parts.ln1), lambda: raw["resid_pre"])
    table |= _norm("ln2", ref.norm(layer, ref.parts.ln2), lambda: raw["resid_mid"])
    return table | _attention(ref, layer, raw)


def _attention(ref: Reference, layer: int, raw: Mapping[str, Tensor]) -> Table:
    heads, kv = ref.n_heads, ref.n_kv

    def split(index: int) -> Tensor:
        value = raw["qkv"[index]] if "k" in raw else raw["q"].chunk(3, dim=-1)[index]
        return value.unflatten(-1, (kv if index else heads, -1))

    def rotated_keys() -> Tensor:
        # [batch, heads, d_head, pos], every key repeated for its group of queries.
        return raw["rot_k"].transpose(-1, -2)[:, :: heads // kv].transpose(1, 2)

    def scores() -> Tensor:
        # `transformers` adds the type's lowest number where TransformerLens has minus infinity.
        low = torch.finfo(raw["scores"].dtype).min / 2
        return raw["scores"].masked_fill(raw["scores"] <= low, float("-inf"))

    def result() -> Tensor:
        z = raw["z"].unflatten(-1, (heads, -1))
        return torch.einsum("bphe,hed->bphd", z, ref.head_outputs(layer).to(z.dtype))

    table: Table = {
        "attn.hook_q": lambda: split(0),
        "attn.hook_k": lambda: split(1),
        "attn.hook_v": lambda: split(2),
        "attn.hook_attn_scores": scores,
        "attn.hook_pattern": lambda: raw["pattern"],
        "attn.hook_z": lambda: raw["z"].unflatten(-1, (heads, -1)),
        "attn.hook_result": result,
    }
    if ref.rotary:
        table["attn.hook_rot_q"] = lambda: raw["rot_q"].transpose(1, 2)
        table["attn.hook_rot_k"] = rotated_keys
    return table


def _norm(name: str, module: Any, source: Callable[[], Tensor]) -> Table:
    centred = isinstance(module, torch.nn.LayerNorm)
    eps: float = module.eps if centred else module.variance_epsilon

    def parts() -> tuple[Tensor, Tensor]:
        x = source()
        x = x if x.dtype == torch.float64 else x.float()
        x = x - x.mean(-1, keepdim=True) if centred else x
        return x, (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()

    def normalized() -> Tensor:
        x, scale = parts()
        return x / scale

    return {f"{name}.hook_scale": lambda: parts()[1], f"{name}.hook_normalized": normalized}
