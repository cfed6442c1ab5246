"""Mixtures of experts, and latent attention, which so far comes with them."""

from __future__ import annotations

from typing import Any

from lenswright.reference.latent import Latent
from lenswright.reference.mixtures import Mixture
from lenswright.reference.parts import Parts, Row

_SHARED = Mixture(shared="mlp.shared_experts")
_ROUTER = Mixture(router="mlp.router")


def _double(model: Any) -> None:
    # Routers whose weight is made in float32 whatever the model's type.
    model.double()


def _rotations_once(model: Any) -> None:
    # It makes its frequencies in every forward, where they would not be the float32 ones.
    rotary = model.model.rotary_emb
    made = rotary.rope_init_fn(model.config)
    rotary.rope_init_fn = lambda _: made


def _olmoe(config: Any) -> Parts:
    return Parts(
        q_norm="q_norm", k_norm="k_norm", clip=config.clip_qkv, clip_normed=True, mixture=Mixture()
    )


def _granite(config: Any) -> Parts:
    shared = getattr(config, "shared_intermediate_size", 0) != 0
    mixture = Mixture(
        router="block_sparse_moe.router", experts="block_sparse_moe.experts",
        shared="shared_mlp" if shared else None, beside=True,
    )  # fmt: skip
    return Parts(mlp="block_sparse_moe", residual=config.residual_multiplier, mixture=mixture)


def _llama4(config: Any, auto: str = "AutoModelForCausalLM", base: str = "model") -> Parts:
    normed = config.use_qk_norm
    return Parts(
        auto=auto, base=base, q_norm="qk_norm", k_norm="qk_norm", norm_after_rotation=normed,
        rotary=tuple(bool(turns) for turns in config.no_rope_layers), mlp="feed_forward",
        gate="feed_forward.gate_proj", up="feed_forward.up_proj", down="feed_forward.down_proj",
        mixture=Mixture(
            router="feed_forward.router", experts="feed_forward.experts",
            shared="feed_forward.shared_expert", on_inputs=True,
        ),
    )  # fmt: skip


def _llama4_tower(config: Any) -> Parts:
    return _llama4(config, "AutoModelForImageTextToText", "language_model.model")


def _deepseek(config: Any) -> Parts:
    latent = Latent(
        nope=config.qk_nope_head_dim, rope=config.qk_rope_head_dim,
        q="q_proj" if config.q_lora_rank is None else "q_b_proj",
    )  # fmt: skip
    return Parts(latent=latent, mixture=_SHARED)


ROWS: dict[str, Row] = {
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "dots1": Parts(q_norm="q_norm", k_norm="k_norm", mixture=_SHARED),
    "ernie4_5_moe": Parts(mixture=_SHARED, prepare=_double),
    "glm4_moe": Parts(q_norm="q_norm", k_norm="k_norm", mixture=_SHARED),
    "gpt_oss": Parts(sinks=True, mixture=_ROUTER),
    "granitemoe": _granite,
    "granitemoeshared": _granite,
    "hunyuan_v1_moe": Parts(
        q_norm="query_layernorm", k_norm="key_layernorm", heads_first=True,
        norm_after_rotation=True, mixture=Mixture(shared="mlp.shared_mlp"), prepare=_double,
    ),
    "llama4": _llama4_tower,
    "llama4_text": _llama4,
    "mixtral": Parts(mixture=Mixture()),
    "olmoe": _olmoe,
    "phimoe": Parts(mixture=_ROUTER, prepare=_rotations_once),
    "qwen2_moe": Parts(
        mixture=Mixture(shared="mlp.shared_expert", shared_gate="mlp.shared_expert_gate")
    ),
    "qwen3_moe": Parts(q_norm="q_norm", k_norm="k_norm", mixture=Mixture()),
    "qwen3_vl_moe": Parts(
        auto="AutoModelForImageTextToText", base="model.language_model", q_norm="q_norm",
        k_norm="k_norm", mixture=Mixture(),
    ),
}  # fmt: skip
