"""config.json of a mixture: the base's, as its layout's library reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenswright.merging.mixture.layouts import Layout

# What a dense model's library takes where its config.json is silent, and the mixture's otherwise.
_PLAIN = {"rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False}
DENSE: dict[str, dict[str, Any]] = {
    "llama": _PLAIN | {"max_position_embeddings": 2048, "attention_bias": False, "mlp_bias": False},
    "mistral": _PLAIN | {"max_position_embeddings": 131072, "num_key_value_heads": 8,
                         "sliding_window": 4096},
    "qwen2": _PLAIN | {"max_position_embeddings": 32768, "num_key_value_heads": 32,
                       "use_sliding_window": False},
    "qwen3": _PLAIN | {"max_position_embeddings": 32768, "num_key_value_heads": 32,
                       "head_dim": 128, "use_sliding_window": False, "attention_bias": False},
    "deepseek_v2": _PLAIN,
    "deepseek_v3": _PLAIN,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """What the experts come to: how many, how many a token, how wide each, and the shared one."""

    experts: int
    chosen: int
    width: int
    shared: int  # 0: there is none


def mixture_config(layout: Layout, base: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """config.json of a mixture: the base's, with what it leaves to its library written out.

    Raises:
        ValueError: a setting that the layout's arithmetic lacks.
    """
    kind = str(base.get("model_type"))
    out = DENSE[kind] | {key: value for key, value in base.items() if value is not None}
    if "sliding_window" in base:  # null is no window
        out["sliding_window"] = base["sliding_window"]
    out.setdefault("num_key_value_heads", out["num_attention_heads"])
    if "head_dim" not in out and layout.name != "deepseek":
        out["head_dim"] = out["hidden_size"] // out["num_attention_heads"]
    if "rope_parameters" not in out:
        out.setdefault("rope_theta", 10000.0)
    _check_biases(layout, out)
    if layout.name != "qwen2_moe" and set(out.pop("layer_types", ())) - {"full_attention"}:
        raise ValueError(
            f"layer_types names layers that see a window only, which the layout '{layout.name}' "
            "lacks; expected 'full_attention' in every layer"
        )
    for key in ("auto_map", "mlp_bias", "pretraining_tp", "quantization_config"):
        out.pop(key, None)
    if layout.name in ("mixtral", "qwen2_moe"):
        biased = kind == "qwen2"
        out.pop("attention_bias", None)
        if layout.name == "qwen2_moe":
            _slide(out, base, kind)
            out["qkv_bias"] = biased
        elif kind == "llama":
            out["sliding_window"] = None
    if layout.name == "glm4_moe":
        _without_window(out, kind)
        out |= {"attention_bias": kind == "qwen2", "use_qk_norm": kind == "qwen3"}
        if isinstance(out.get("rope_parameters"), Mapping):
            out["rope_parameters"] = dict(out["rope_parameters"]) | {"partial_rotary_factor": 1.0}
    return out | layout.keys | _counts(layout, kind, sizes)


def _slide(out: dict[str, Any], base: Mapping[str, Any], kind: str) -> None:
    # Qwen2 MoE slides in some layers, Mistral in all.
    if kind == "mistral" and out.get("sliding_window") and "sliding_window" in base:
        raise ValueError(
            f"sliding_window is {out['sliding_window']} in every layer of the base, which the "
            "layout 'qwen2_moe' lacks; expected 'mixtral'"
        )
    if kind != "qwen2":
        out["use_sliding_window"] = False
        out.pop("sliding_window", None)


def _without_window(out: dict[str, Any], kind: str) -> None:
    slides = kind == "mistral" or out.get("use_sliding_window")
    if slides and out.get("sliding_window"):
        raise ValueError(
            f"sliding_window is {out['sliding_window']} in the base, which the layout 'glm4_moe' "
            "lacks; expected null"
        )
    for key in ("sliding_window", "use_sliding_window", "max_window_layers"):
        out.pop(key, None)


def _check_biases(layout: Layout, config: Mapping[str, Any]) -> None:
    for key in ("attention_bias", "mlp_bias"):
        if config.get(key) and not (key == "attention_bias" and layout.name == "qwen3_moe"):
            raise ValueError(f"{key} is true, and the layout '{layout.name}' has no such biases")


def _counts(layout: Layout, kind: str, sizes: Sizes) -> dict[str, Any]:
    out: dict[str, Any] = {"num_experts_per_tok": sizes.chosen}
    if layout.name == "mixtral":
        return out | {"num_local_experts": sizes.experts, "intermediate_size": sizes.width}
    out["moe_intermediate_size"] = sizes.width
    if layout.name == "qwen2_moe":
        out["shared_expert_intermediate_size"] = sizes.shared
    if not layout.correction:
        return out | {"num_experts": sizes.experts}
    out |= {"n_routed_experts": sizes.experts, "n_shared_experts": sizes.shared // sizes.width}
    if layout.name == "glm4_moe":
        return out
    v3 = kind == "deepseek_v3"
    return out | {"norm_topk_prob": v3,
                  "topk_method": "noaux_tc" if v3 else "greedy",
                  "scoring_func": "sigmoid" if v3 else "softmax"}  # fmt: skip
