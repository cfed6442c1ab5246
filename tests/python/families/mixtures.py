"""Mixtures of experts, and latent attention, which so far comes with them."""

from __future__ import annotations

from typing import Any

import torch

from families.row import VOCAB, Row, grouped, rope, sizes


def _mixture(**changes: Any) -> dict[str, Any]:
    return sizes(num_key_value_heads=3, num_experts_per_tok=2) | changes


def _yarn(**more: Any) -> dict[str, Any]:
    settings = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 2.0,
                "beta_slow": 0.5, "original_max_position_embeddings": 48}  # fmt: skip
    return {"rope_parameters": settings | more}


def _strong_sinks(model: Any) -> None:
    for block in model.model.layers:
        block.self_attn.sinks += torch.tensor([2.0, -1.0, 0.5, 1.0][: len(block.self_attn.sinks)])


_EXPERTS = {"num_experts": 5, "moe_intermediate_size": 11}
_LATENT = {
    "n_routed_experts": 6, "moe_intermediate_size": 11, "first_k_dense_replace": 1,
    "kv_lora_rank": 13, "qk_nope_head_dim": 5, "qk_rope_head_dim": 6, "v_head_dim": 7,
}  # fmt: skip
_GROUPS = {"n_group": 3, "topk_group": 2, "num_experts_per_tok": 3}
_GRANITE = {
    "num_local_experts": 5, "embedding_multiplier": 3.0, "logits_scaling": 2.5,
    "residual_multiplier": 0.4, "attention_multiplier": 0.2,
}  # fmt: skip
_LONG = {
    "rope_type": "longrope", "rope_theta": 1234.5, "original_max_position_embeddings": 32,
    "short_factor": [1.0, 1.1, 1.3, 1.7, 2.5], "long_factor": [2.0, 2.1, 2.3, 2.7, 3.5],
    "short_mscale": 1.2, "long_mscale": 1.3,
}  # fmt: skip
_LLAMA4 = _mixture(
    num_hidden_layers=4, head_dim=10, intermediate_size=11, intermediate_size_mlp=23,
    num_local_experts=5, interleave_moe_layer_step=2, no_rope_layer_interval=3,
    attention_chunk_size=5, floor_scale=4, attn_scale=0.3,
)  # fmt: skip
_LLAMA4_VISION = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "vision_output_dim": 8, "image_size": 28, "patch_size": 14, "projector_input_dim": 8,
    "projector_output_dim": 8,
}  # fmt: skip
_ONE_HALF_DENSE = {"num_hidden_layers": 4, "decoder_sparse_step": 2, "mlp_only_layers": [1]}
_VISION = {
    "depth": 1, "hidden_size": 16, "intermediate_size": 8, "num_heads": 2, "out_hidden_size": 30,
    "deepstack_visual_indexes": [0], "num_position_embeddings": 16,
}  # fmt: skip

ROWS = [
    # Its complex rotations need even strides.
    Row("deepseek_v2", "DeepseekV2ForCausalLM",
        _mixture(q_lora_rank=None) | _LATENT | {"kv_lora_rank": 14, "qk_nope_head_dim": 6}, {
        "low rank": {"q_lora_rank": 11, "attention_bias": True, "mlp_bias": True,
                     "rms_norm_eps": 1e-3},
        "groups": _GROUPS | {"topk_method": "group_limited_greedy", "routed_scaling_factor": 1.7,
                             "n_shared_experts": 1, "first_k_dense_replace": 0},
        "yarn": _yarn(mscale=0.7, mscale_all_dim=0.9),
    }),
    Row("deepseek_v3", "DeepseekV3ForCausalLM",
        _mixture(q_lora_rank=11) | _LATENT | _GROUPS, {
        "halves": {"q_lora_rank": None, "rope_interleave": False, "norm_topk_prob": False,
                   "attention_bias": True, "n_group": 1, "topk_group": 1},
        "yarn": _yarn(mscale=1.0, mscale_all_dim=1.0, truncate=False) | {
            "routed_scaling_factor": 0.7, "n_shared_experts": 2, "rms_norm_eps": 1e-3},
    }),
    Row("dots1", "Dots1ForCausalLM", _mixture(
            n_routed_experts=6, n_shared_experts=1, moe_intermediate_size=11,
            first_k_dense_replace=1,
        ), {
        "groups": grouped(**_GROUPS, norm_topk_prob=True, routed_scaling_factor=1.7,
                          attention_bias=True, n_shared_experts=2, max_window_layers=1,
                          sliding_window=5),
    }),
    Row("ernie4_5_moe", "Ernie4_5_MoeForCausalLM", sizes(
            num_key_value_heads=3, moe_num_experts=5, moe_k=2, moe_intermediate_size=11
        ), {
        "biased": grouped(use_bias=True, tie_word_embeddings=True, moe_norm_min=0.7),
        "every other": {"num_hidden_layers": 4, "moe_layer_interval": 2, "moe_layer_end_index": 2,
                        "moe_num_shared_experts": 0},
    }),
    Row("glm4_moe", "Glm4MoeForCausalLM", _mixture(
            head_dim=12, n_routed_experts=6, moe_intermediate_size=11
        ), {
        "groups": grouped(**_GROUPS, use_qk_norm=True, attention_bias=True, norm_topk_prob=False,
                          routed_scaling_factor=1.7, n_shared_experts=2, tie_word_embeddings=True)
        | rope(1234.5, partial_rotary_factor=0.4),
    }),
    Row("gpt_oss", "GptOssForCausalLM", _mixture(
            head_dim=10, num_local_experts=5, sliding_window=5
        ), {
        "clamped": grouped(swiglu_limit=0.5, swiglu_alpha=1.1, num_experts_per_tok=3),
        "full": {"layer_types": ["full_attention"] * 3, "attention_bias": False,
                 "tie_word_embeddings": True} | _yarn(truncate=True),
    }, tune=_strong_sinks),
    Row("granitemoe", "GraniteMoeForCausalLM", _mixture() | _GRANITE, {
        "grouped": grouped(attention_bias=True, tie_word_embeddings=True),
    }),
    Row("granitemoeshared", "GraniteMoeSharedForCausalLM",
        _mixture(shared_intermediate_size=13) | _GRANITE, {
        "unshared": grouped(shared_intermediate_size=0, num_experts_per_tok=3),
    }),
    Row("hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM", sizes(
            num_key_value_heads=3, head_dim=10, num_experts=5, moe_topk=2
        ), {
        "alpha": grouped(moe_topk=[2, 4, 3], attention_bias=True, rope_parameters={
            "rope_type": "dynamic", "rope_theta": 1234.5, "alpha": 5.0, "factor": 1.0}),
    }),
    Row("llama4", "Llama4ForConditionalGeneration", {
            "text_config": _LLAMA4, "vision_config": _LLAMA4_VISION, "boi_token_index": VOCAB - 1,
            "eoi_token_index": VOCAB - 2, "image_token_index": VOCAB - 3,
        }, auto="AutoModelForImageTextToText"),
    Row("llama4_text", "Llama4ForCausalLM", _LLAMA4, {
        "plain": grouped(use_qk_norm=False, attn_temperature_tuning=False, attention_bias=True,
                         num_experts_per_tok=1, interleave_moe_layer_step=1, moe_layers=[0, 3],
                         no_rope_layers=[1, 0, 0, 1], attention_chunk_size=6,
                         tie_word_embeddings=True)
        | rope(1234.5),
    }),
    Row("mixtral", "MixtralForCausalLM", _mixture(num_local_experts=5), {
        "window": grouped(sliding_window=5, num_experts_per_tok=3),
        "wide heads": {"head_dim": 12, "tie_word_embeddings": True, "hidden_act": "gelu"},
    }),
    Row("olmoe", "OlmoeForCausalLM", _mixture(num_experts=5), {
        "clipped": grouped(clip_qkv=0.7, norm_topk_prob=True, attention_bias=True,
                           tie_word_embeddings=True),
    }),
    Row("phimoe", "PhimoeForCausalLM", _mixture(num_local_experts=5), {
        "biased": grouped(attention_bias=True, lm_head_bias=True, router_jitter_noise=0.4,
                          sliding_window=5),
        "long": {"rope_parameters": _LONG, "router_jitter_noise": 0.2},
    }),
    Row("qwen2_moe", "Qwen2MoeForCausalLM",
        _mixture(shared_expert_intermediate_size=13) | _EXPERTS, {
        "window": grouped(use_sliding_window=True, sliding_window=5, max_window_layers=2,
                          qkv_bias=False, norm_topk_prob=True, tie_word_embeddings=True),
        "some dense": _ONE_HALF_DENSE,
    }),
    Row("qwen3_moe", "Qwen3MoeForCausalLM", _mixture() | _EXPERTS, {
        "window": grouped(use_sliding_window=True, sliding_window=5, attention_bias=True,
                          norm_topk_prob=True, tie_word_embeddings=True),
        "some dense": _ONE_HALF_DENSE | {"head_dim": 12},
    }),
    Row("qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration", {
            "text_config": _mixture(head_dim=10) | _EXPERTS
            | rope(mrope_section=[2, 2, 1], mrope_interleaved=True),
            "vision_config": _VISION, "image_token_id": VOCAB - 1, "video_token_id": VOCAB - 2,
            "vision_start_token_id": VOCAB - 3, "vision_end_token_id": VOCAB - 4,
        }, auto="AutoModelForImageTextToText"),
]  # fmt: skip
