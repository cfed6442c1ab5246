"""Families that keep Llama's names for most parts."""

from __future__ import annotations

from families.row import Row, grouped, rope, sizes

ROWS = [
    Row("cohere", "CohereForCausalLM", sizes(tie_word_embeddings=True), {
        "grouped": grouped(use_qk_norm=True, attention_bias=True, logit_scale=0.25) | rope(1234.5),
        "untied": {"tie_word_embeddings": False, "layer_norm_eps": 1e-3},
    }),
    Row("cohere2", "Cohere2ForCausalLM",
        sizes(tie_word_embeddings=True, num_hidden_layers=4, sliding_window=5), {
        "grouped": grouped(attention_bias=True, logit_scale=0.25) | rope(1234.5),
        "alternating": {"layer_types": ["full_attention", "sliding_attention"] * 2},
    }),
    Row("nemotron", "NemotronForCausalLM",
        sizes(num_key_value_heads=3, **rope(partial_rotary_factor=0.4)), {
        "grouped": grouped(attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
        "wide heads": {"head_dim": 15, "hidden_act": "gelu", "norm_eps": 1e-3},
    }),
    Row("olmo", "OlmoForCausalLM", sizes(), {
        "clipped": {"clip_qkv": 0.7},
        "grouped": grouped(attention_bias=True, tie_word_embeddings=True) | rope(1234.5),
    }),
    Row("phi", "PhiForCausalLM", sizes(**rope(partial_rotary_factor=0.4)), {
        "grouped": grouped(qk_layernorm=True, tie_word_embeddings=True, layer_norm_eps=1e-3),
        "whole heads": rope(1234.5, partial_rotary_factor=1.0) | {"hidden_act": "gelu"},
    }),
    Row("stablelm", "StableLmForCausalLM",
        sizes(num_key_value_heads=3, **rope(partial_rotary_factor=0.4)), {
        "grouped": grouped(qk_layernorm=True, use_qkv_bias=True, tie_word_embeddings=True),
        "parallel": {"use_parallel_residual": True, "layer_norm_eps": 1e-3},
        "both": grouped(qk_layernorm=True, use_parallel_residual=True),
    }),
    Row("starcoder2", "Starcoder2ForCausalLM",
        sizes(num_key_value_heads=3, tie_word_embeddings=True), {
        "grouped": grouped(use_bias=False, sliding_window=5) | rope(1234.5),
        "untied": {"tie_word_embeddings": False, "hidden_act": "silu", "norm_epsilon": 1e-3},
    }),
]  # fmt: skip
