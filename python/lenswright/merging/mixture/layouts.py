"""Layouts of mixtures: which dense models they take, how their tensors and keys are called.

Names and keys: transformers, models/{mixtral,qwen2_moe,qwen3_moe,deepseek_v2,deepseek_v3,glm4_moe}.
"""

from __future__ import annotations

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
