"""Llama, its rotations, and families whose blocks are built like its: two norms, before."""

from __future__ import annotations

from typing import Any

from families.row import Row, grouped, rope, sizes

SHORT, LONG = [1.0, 1.1, 1.3, 1.7, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]


def scaled(kind: str, **more: Any) -> dict[str, Any]:
    """The config key of scaled rotations, fast enough that 13 positions tell them apart."""
    return rope(100.0, rope_type=kind, **more)


LLAMA3 = scaled("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=16)  # fmt: skip
# Of these lengths the bounds, which are rounded to whole pairs, lie between the first and last.
YARN = scaled("yarn", factor=4.0, original_max_position_embeddings=24)
SCALINGS = {
    "linear": scaled("linear", factor=2.5),
    "dynamic": scaled("dynamic", factor=2.5) | {"max_position_embeddings": 8},
    "dynamic, short rows": scaled("dynamic", factor=2.5) | {"max_position_embeddings": 16},
    "llama3": LLAMA3,
    "yarn": YARN,
    "yarn, mscale": scaled(
        "yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.7, mscale_all_dim=0.4,
        beta_fast=2.0, beta_slow=0.3, truncate=False,
    ),
    "yarn, attention factor": scaled(
        "yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=0.8
    ),
    "longrope": scaled(
        "longrope", original_max_position_embeddings=8, short_factor=SHORT, long_factor=LONG
    ),
    "longrope, short rows": scaled(
        "longrope", original_max_position_embeddings=32, factor=5.0, short_factor=SHORT,
        long_factor=LONG,
    ),
    "longrope, attention factor": scaled(
        "longrope", original_max_position_embeddings=8, attention_factor=1.3, short_factor=SHORT,
        long_factor=LONG,
    ),
}  # fmt: skip
BIASES = {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
_BY_POSITION = {
    "factor": 4.0, "original_max_position_embeddings": 4, "mscale": 1.0, "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.4,
}  # fmt: skip
_FAST = {"beta_fast": 0.2, "beta_slow": 0.03}  # bounds within the five pairs of so short a context
_PHI3_LONG = {"rope_type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [1.0, 3.0]}

ROWS = [
    Row("llama", "LlamaForCausalLM", sizes(rms_norm_eps=1e-6), {
        "grouped": grouped(**BIASES),
        "wide heads": {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 1,
                       "head_dim": 10, "attention_bias": True, "hidden_act": "gelu"} | rope(1234.5),
    } | SCALINGS),
    Row("apertus", "ApertusForCausalLM", sizes(), {
        "grouped": grouped(attention_bias=True, tie_word_embeddings=True) | rope(1234.5),
        "silu": {"hidden_act": "silu", "rms_norm_eps": 0.1} | LLAMA3,
    }),
    Row("arcee", "ArceeForCausalLM", sizes(), {
        "grouped": grouped(**BIASES) | rope(1234.5),
        "wide heads": {"head_dim": 14, "hidden_act": "gelu", "rms_norm_eps": 0.1} | YARN,
    }),
    Row("ernie4_5", "Ernie4_5ForCausalLM", sizes(head_dim=10, num_key_value_heads=3), {
        "grouped": grouped(head_dim=12, use_bias=True, tie_word_embeddings=True) | rope(1234.5),
        "no head_dim": {"head_dim": None, "hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("glm", "GlmForCausalLM", sizes(head_dim=12, num_key_value_heads=3), {
        "grouped": grouped(head_dim=10, attention_bias=False, tie_word_embeddings=True)
        | rope(1234.5, partial_rotary_factor=0.4),
        "whole heads": rope(partial_rotary_factor=1.0) | {"rms_norm_eps": 0.1,
                                                          "hidden_act": "gelu"},
    }),
    Row("granite", "GraniteForCausalLM",
        sizes(embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.3,
              attention_multiplier=0.2), {
        "multipliers left alone": {"embedding_multiplier": 1.0, "logits_scaling": 1.0,
                                   "residual_multiplier": 1.0, "attention_multiplier": 1.0},
        "grouped": grouped(**BIASES) | rope(1234.5),
        "gelu": {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("helium", "HeliumForCausalLM", sizes(head_dim=10, num_key_value_heads=3), {
        "grouped": grouped(**BIASES) | rope(1234.5),
        "gelu": {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", sizes(head_dim=10), {
        "alpha": scaled("dynamic", factor=1.0, alpha=50.0) | {"max_position_embeddings": 8},
        "dynamic": SCALINGS["dynamic"],
        "grouped": grouped(head_dim=12, attention_bias=True, tie_word_embeddings=True),
        "gelu": {"hidden_act": "gelu", "rms_norm_eps": 0.1} | rope(1234.5),
    }),
    Row("ministral", "MinistralForCausalLM",
        sizes(num_hidden_layers=4, num_key_value_heads=3, head_dim=10, sliding_window=5,
              layer_types=["sliding_attention", "full_attention"] * 2), {
        "window everywhere": grouped(layer_types=None, tie_word_embeddings=True) | rope(1234.5),
        "no window": {"layer_types": ["full_attention"] * 4, "head_dim": 12, "hidden_act": "gelu",
                      "rms_norm_eps": 0.1},
    }),
    Row("ministral3", "Ministral3ForCausalLM",
        sizes(num_key_value_heads=3, head_dim=10) | scaled("yarn", **_BY_POSITION), {
        "window": grouped(head_dim=12, sliding_window=5, tie_word_embeddings=True),
        "mscale": scaled("yarn", **_BY_POSITION | {"mscale_all_dim": 0.5} | _FAST)
        | {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("mistral", "MistralForCausalLM", sizes(num_key_value_heads=3, sliding_window=5), {
        "grouped": grouped(head_dim=12, tie_word_embeddings=True) | rope(1234.5),
        "no window": {"sliding_window": None, "hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("phi3", "Phi3ForCausalLM", sizes(), {
        "window": grouped(sliding_window=5, tie_word_embeddings=True) | rope(1234.5),
        "partial": rope(100.0, partial_rotary_factor=0.4) | {"hidden_act": "gelu",
                                                             "rms_norm_eps": 0.1},
        "longrope": {"original_max_position_embeddings": 8}
        | rope(100.0, partial_rotary_factor=0.4, **_PHI3_LONG),
        "longrope, short rows": {"original_max_position_embeddings": 32}
        | rope(100.0, rope_type="longrope", short_factor=SHORT, long_factor=LONG),
    }),
    Row("qwen2", "Qwen2ForCausalLM", sizes(num_key_value_heads=3), {
        "late window": grouped(use_sliding_window=True, sliding_window=5, max_window_layers=1,
                               tie_word_embeddings=True) | rope(1234.5),
        "window by layer": {"use_sliding_window": True, "sliding_window": 5, "layer_types":
                            ["sliding_attention", "full_attention", "sliding_attention"]},
        "yarn": YARN | {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("qwen3", "Qwen3ForCausalLM", sizes(num_key_value_heads=3, head_dim=10), {
        "grouped": grouped(head_dim=12, attention_bias=True, tie_word_embeddings=True),
        "late window": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}
        | rope(1234.5),
        "yarn": YARN | {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("seed_oss", "SeedOssForCausalLM", sizes(num_key_value_heads=3, head_dim=10), {
        "grouped": grouped(head_dim=12, attention_bias=False, attention_out_bias=True,
                           mlp_bias=True, tie_word_embeddings=True) | rope(1234.5),
        "no head_dim": {"head_dim": None, "hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("smollm3", "SmolLM3ForCausalLM",
        sizes(num_hidden_layers=4, num_key_value_heads=3, no_rope_layer_interval=2), {
        "window": grouped(use_sliding_window=True, sliding_window=5, **BIASES) | rope(1234.5),
        "by layer": {"no_rope_layers": [0, 1, 1, 0], "sliding_window": 5, "layer_types":
                     ["full_attention", "sliding_attention"] * 2},
        "gelu": {"hidden_act": "gelu", "rms_norm_eps": 0.1} | YARN,
    }),
]  # fmt: skip
