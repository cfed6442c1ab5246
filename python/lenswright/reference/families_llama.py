"""Llama and what differs from it in few words: norms elsewhere, fused projections, towers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lenswright.reference.parts import Parts, Row

_LLAMA = Parts()
_NORMED = Parts(q_norm="q_norm", k_norm="k_norm")
_FUSED = Parts(gate_up="mlp.gate_up_proj", gate=None)
_AROUND = Parts(
    ln1_post="post_attention_layernorm", ln2="pre_feedforward_layernorm",
    ln2_post="post_feedforward_layernorm",
)  # fmt: skip
_AFTER = replace(
    _NORMED, ln1=None, ln1_post="post_attention_layernorm", ln2=None,
    ln2_post="post_feedforward_layernorm",
)  # fmt: skip
_GEMMA3 = replace(_AROUND, q_norm="q_norm", k_norm="k_norm", heads_first=True)


def _tower(parts: Parts) -> Parts:
    """The decoder of a model that also sees."""
    return replace(parts, auto="AutoModelForImageTextToText", base="model.language_model")


def _tower_of(config: Any) -> Parts:
    row = ROWS[config.model_type]
    return _tower(row(config) if callable(row) else row)


def _exaone4(config: Any) -> Parts:
    everywhere = config.sliding_window is None
    rotary = tuple(everywhere or kind == "sliding_attention" for kind in config.layer_types)
    return replace(_AFTER, heads_first=True, rotary=rotary)


ROWS: dict[str, Row] = {
    "apertus": replace(
        _NORMED, ln1="attention_layernorm", ln2="feedforward_layernorm", heads_first=True, gate=None
    ),
    "arcee": Parts(gate=None),
    "ernie4_5": _LLAMA,
    "exaone4": _exaone4,
    "gemma": _LLAMA,
    "gemma2": _AROUND,
    "gemma3": _tower(_GEMMA3),
    "gemma3_text": _GEMMA3,
    "glm": _FUSED,
    "glm4": replace(_FUSED, ln1_post="post_self_attn_layernorm", ln2_post="post_mlp_layernorm"),
    "granite": lambda config: Parts(residual=config.residual_multiplier),
    "helium": _LLAMA,
    "hunyuan_v1_dense": Parts(
        q_norm="query_layernorm", k_norm="key_layernorm", heads_first=True, norm_after_rotation=True
    ),
    "llama": _LLAMA,
    "llava": _tower_of,
    "ministral": _LLAMA,
    "ministral3": _LLAMA,
    "mistral": _LLAMA,
    "mistral3": _tower_of,
    "olmo2": _AFTER,
    "olmo3": _AFTER,
    "phi3": replace(_FUSED, qkv=("qkv_proj",)),
    "qwen2": _LLAMA,
    "qwen2_5_vl": _tower(_LLAMA),
    "qwen2_vl": _tower(_LLAMA),
    "qwen3": _NORMED,
    "qwen3_vl": _tower(_NORMED),
    "seed_oss": _LLAMA,
    "smollm3": lambda config: Parts(rotary=tuple(map(bool, config.no_rope_layers))),
}
