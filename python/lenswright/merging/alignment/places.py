"""Which axes of a model's tensors may be reordered together without changing what it computes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RESIDUAL = "residual"
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.*)")
# rest of a tensor's name -> what its axes are; None is an axis that stays
_REST: dict[str, tuple[str | None, ...]] = {
    "self_attn.q_proj.weight": ("query", RESIDUAL), "self_attn.k_proj.weight": ("key", RESIDUAL),
    "self_attn.v_proj.weight": ("key", RESIDUAL), "self_attn.o_proj.weight": (RESIDUAL, "query"),
    "self_attn.q_proj.bias": ("query",), "self_attn.k_proj.bias": ("key",),
    "self_attn.v_proj.bias": ("key",), "self_attn.o_proj.bias": (RESIDUAL,),
    "self_attn.q_norm.weight": (None,), "self_attn.k_norm.weight": (None,),
    "mlp.gate_proj.weight": ("mlp", RESIDUAL), "mlp.up_proj.weight": ("mlp", RESIDUAL),
    "mlp.down_proj.weight": (RESIDUAL, "mlp"), "mlp.gate_proj.bias": ("mlp",),
    "mlp.up_proj.bias": ("mlp",), "mlp.down_proj.bias": (RESIDUAL,),
    "input_layernorm.weight": (RESIDUAL,), "post_attention_layernorm.weight": (RESIDUAL,),
}  # fmt: skip
_OUTSIDE: dict[str, tuple[str | None, ...]] = {
    "model.embed_tokens.weight": (None, RESIDUAL), "model.norm.weight": (RESIDUAL,),
    "lm_head.weight": (None, RESIDUAL),
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Of attention: query heads, heads of keys and values, numbers of each."""

    heads: int
    groups: int
    width: int

    @staticmethod
    def of(config: Mapping[str, Any]) -> Sizes:
        """From a config.json.

        Raises:
            ValueError: a family whose axes are not known here.
        """
        kind = config.get("model_type")
        if kind not in FAMILIES:
            raise ValueError(f"model_type is '{kind}', expected one of {', '.join(FAMILIES)}")
        heads = int(config["num_attention_heads"])
        usual = {"llama": heads, "mistral": 8, "qwen2": 32, "qwen3": 32}[str(kind)]
        groups = int(config.get("num_key_value_heads") or usual)
        usual_width = 128 if kind == "qwen3" else int(config["hidden_size"]) // heads
        return Sizes(heads, groups, int(config.get("head_dim") or usual_width))


def axes_of(name: str) -> tuple[str | None, ...]:
    """What each axis of a tensor is: "residual", "3.mlp", "3.query", "3.key", or None.

    Raises:
        ValueError: a tensor of unknown place.
    """
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    found = _LAYER.fullmatch(name)
    if found is None or found[2] not in _REST:
        raise ValueError(f"tensor '{name}' has no place that is known in {', '.join(FAMILIES)}")
    return tuple(
        axis if axis in (None, RESIDUAL) else f"{found[1]}.{axis}" for axis in _REST[found[2]]
    )


def with_axis(names: Iterable[str], axis: str) -> list[tuple[str, int]]:
    """Tensors with an axis, and which of theirs it is."""
    return [(name, axes_of(name).index(axis)) for name in names if axis in axes_of(name)]
