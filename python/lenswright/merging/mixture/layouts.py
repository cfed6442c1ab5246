"""Layouts of mixtures: which dense models they take, how their tensors and keys are called.

Names and keys: transformers, models/{mixtral,qwen2_moe,qwen3_moe,deepseek_v2,deepseek_v3,glm4_moe}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lenswright.nearest import did_you_mean

NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")
ATTENTION = tuple(f"self_attn.{part}_proj.weight" for part in "qkvo")
BIASES = tuple(f"self_attn.{part}_proj.bias" for part in "qkv")
HEAD_NORMS = ("self_attn.q_norm.weight", "self_attn.k_norm.weight")
LATENT = (
    "self_attn.q_proj.weight", "self_attn.q_a_proj.weight", "self_attn.q_a_layernorm.weight",
    "self_attn.q_b_proj.weight", "self_attn.kv_a_proj_with_mqa.weight",
    "self_attn.kv_a_layernorm.weight", "self_attn.kv_b_proj.weight", "self_attn.o_proj.weight",
)  # fmt: skip

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


@dataclass(frozen=True)
class Layout:
    """A layout by itself.

    takes: model types of dense models. kept: tensors of a layer that it has besides the MLP.
    shared: the least and most shared experts. gate: its router, parts: gate, up and down. only: why
    it takes no other models.
    """

    name: str
    takes: tuple[str, ...]
    kept: tuple[str, ...]
    needed: tuple[str, ...] = ()
    shared: tuple[int, int] = (0, 0)
    block: str = "mlp."
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    shared_name: str = ""
    shared_gate: str = ""
    correction: str = ""
    only: str = ""
    keys: dict[str, Any] = field(default_factory=dict)

    def expert(self, layer: int, index: int, part: int) -> str:
        """A matrix of an expert: 0 gate, 1 up, 2 down."""
        return f"{self._at(layer)}experts.{index}.{self.parts[part]}.weight"

    def router(self, layer: int) -> str:
        """[experts, d_model]."""
        return f"{self._at(layer)}gate.weight"

    def shared_expert(self, layer: int, part: int) -> str:
        """A matrix of the shared expert."""
        return f"{self._at(layer)}{self.shared_name}.{self.parts[part]}.weight"

    def at(self, layer: int, rest: str) -> str:
        """Another tensor of the mixture: shared_gate, correction."""
        return self._at(layer) + rest

    def _at(self, layer: int) -> str:
        return f"model.layers.{layer}.{self.block}"


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "mixtral", ("llama", "mistral"), NORMS + ATTENTION, block="block_sparse_moe.",
            parts=("w1", "w3", "w2"),
            keys={"architectures": ["MixtralForCausalLM"], "model_type": "mixtral"},
        ),
        Layout(
            "qwen2_moe", ("qwen2", "llama", "mistral"), NORMS + ATTENTION + BIASES, shared=(1, 1),
            shared_name="shared_expert", shared_gate="shared_expert_gate.weight",
            keys={"architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe",
                  "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": []},
        ),
        Layout(
            "qwen3_moe", ("qwen3",), NORMS + ATTENTION + HEAD_NORMS, HEAD_NORMS,
            keys={"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
                  "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": []},
        ),
        Layout(
            "deepseek", ("deepseek_v2", "deepseek_v3"), NORMS + LATENT, shared=(1, 1),
            shared_name="shared_experts", correction="gate.e_score_correction_bias",
            only="; other attention has no equal in its latent one, where all heads share one "
                 "rotated key, and keys and values are made of a vector that has been normalised: "
                 "'glm4_moe' has DeepSeek-V3's router and experts over plain attention",
            keys={"first_k_dense_replace": 0, "moe_layer_freq": 1, "n_group": 1, "topk_group": 1,
                  "routed_scaling_factor": 1.0},
        ),
        Layout(
            "glm4_moe", ("llama", "mistral", "qwen2", "qwen3"),
            NORMS + ATTENTION + BIASES + HEAD_NORMS, shared=(1, 1), shared_name="shared_experts",
            correction="gate.e_score_correction_bias",
            keys={"architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe",
                  "norm_topk_prob": True, "first_k_dense_replace": 0, "n_group": 1, "topk_group": 1,
                  "routed_scaling_factor": 1.0, "num_nextn_predict_layers": 0,
                  "partial_rotary_factor": 1.0},
        ),
    )
}  # fmt: skip
_OTHER_NAMES = {"qwen": "qwen2_moe", "qwen2": "qwen2_moe", "qwen3": "qwen3_moe",
                "deepseek_v2": "deepseek", "deepseek_v3": "deepseek",
                "glm4": "glm4_moe"}  # fmt: skip


def chosen_layout(wanted: str | None, model_type: str, shared: int) -> Layout:
    """The layout of a name, or the first that takes such a base and as many shared experts.

    Raises:
        ValueError: no such layout (with the nearest), or none that fits.
    """
    if wanted is None:
        for layout in LAYOUTS.values():
            if model_type in layout.takes and layout.shared[0] <= shared <= layout.shared[1]:
                return layout
        raise ValueError(
            f"no layout has base models of type '{model_type}' and {shared} shared experts; there "
            f"are {_told()}"
        )
    name = _OTHER_NAMES.get(str(wanted).lower(), str(wanted).lower())
    if name not in LAYOUTS:
        hint = (
            did_you_mean(name, [*LAYOUTS, *_OTHER_NAMES])
            or f", expected one of {', '.join(LAYOUTS)}"
        )
        raise ValueError(f"architecture is {wanted!r}{hint}")
    layout = LAYOUTS[name]
    if model_type not in layout.takes:
        raise ValueError(
            f"architecture '{name}' takes a base of type {' or '.join(layout.takes)}, found "
            f"'{model_type}'{layout.only}; there are {_told()}"
        )
    if not layout.shared[0] <= shared <= layout.shared[1]:
        wanted_shared = "one shared expert" if layout.shared[0] else "no shared expert"
        raise ValueError(f"architecture '{name}' has {wanted_shared}, found {shared}")
    return layout


def _told() -> str:
    return "; ".join(
        f"{one.name} (of {', '.join(one.takes)}, {'one' if one.shared[0] else 'no'} shared expert)"
        for one in LAYOUTS.values()
    )


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
