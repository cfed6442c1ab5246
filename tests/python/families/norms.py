"""Families with norms of what a branch puts out: around the branch, or after it only."""

from __future__ import annotations

from families.llama import YARN
from families.row import Row, grouped, rope, sizes

_PLAIN = {"rope_type": "default", "rope_theta": 100.0}
ALTERNATING = ["full_attention", "sliding_attention"] * 2


def two_ropes(**of_full: object) -> dict[str, object]:
    """The config key of families that rotate by layer type."""
    full = {"rope_type": "default", "rope_theta": 1234.5} | of_full
    return {"rope_parameters": {"full_attention": full, "sliding_attention": _PLAIN}}


LINEAR = two_ropes(rope_type="linear", factor=8.0)
_FOUR = {"num_hidden_layers": 4, "num_key_value_heads": 3}

ROWS = [
    Row("exaone4", "Exaone4ForCausalLM",
        sizes(sliding_window=5, sliding_window_pattern=2, **_FOUR), {
        "no window": {"sliding_window": None, "layer_types": ["full_attention"] * 4} | YARN,
        "grouped": grouped(layer_types=ALTERNATING, tie_word_embeddings=True) | rope(1234.5),
        "wide heads": {"head_dim": 14, "hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("gemma", "GemmaForCausalLM",
        sizes(num_key_value_heads=3, head_dim=10, tie_word_embeddings=True), {
        "grouped": grouped(head_dim=12, attention_bias=True, tie_word_embeddings=False),
        "one key": {"num_key_value_heads": 1, "hidden_act": "gelu"} | rope(1234.5),
        "silu": {"hidden_act": "silu", "rms_norm_eps": 0.1},
    }),
    Row("gemma2", "Gemma2ForCausalLM",
        sizes(head_dim=10, sliding_window=5, query_pre_attn_scalar=7, attn_logit_softcapping=3.0,
              final_logit_softcapping=20.0, tie_word_embeddings=True, **_FOUR), {
        "uncapped": {"attn_logit_softcapping": None, "final_logit_softcapping": None},
        "grouped": grouped(head_dim=12, attention_bias=True, tie_word_embeddings=False)
        | rope(1234.5),
        "by layer": {"layer_types": ALTERNATING, "hidden_activation": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("gemma3_text", "Gemma3ForCausalLM",
        sizes(head_dim=10, sliding_window=5, sliding_window_pattern=2, query_pre_attn_scalar=7,
              tie_word_embeddings=True, **_FOUR), {
        "linear": LINEAR,
        "grouped": grouped(head_dim=12, attention_bias=True, tie_word_embeddings=False),
        "capped": {"final_logit_softcapping": 20.0, "layer_types": ALTERNATING,
                   "hidden_activation": "gelu", "rms_norm_eps": 0.1} | two_ropes(),
    }),
    Row("glm4", "Glm4ForCausalLM", sizes(head_dim=12, num_key_value_heads=3), {
        "grouped": grouped(head_dim=10, attention_bias=False, tie_word_embeddings=True)
        | rope(1234.5, partial_rotary_factor=0.4),
        "whole heads": rope(partial_rotary_factor=1.0) | {"rms_norm_eps": 0.1,
                                                          "hidden_act": "gelu"},
    }),
    Row("olmo2", "Olmo2ForCausalLM", sizes(), {
        "grouped": grouped(attention_bias=True, tie_word_embeddings=True) | rope(1234.5),
        "yarn": YARN | {"hidden_act": "gelu", "rms_norm_eps": 0.1},
    }),
    Row("olmo3", "Olmo3ForCausalLM", sizes(num_hidden_layers=4, sliding_window=5), {
        "grouped": grouped(attention_bias=True, tie_word_embeddings=True, layer_types=ALTERNATING),
        "yarn": two_ropes(rope_type="yarn", factor=4.0, original_max_position_embeddings=24),
        "gelu": {"hidden_act": "gelu", "rms_norm_eps": 0.1} | two_ropes(),
    }),
]  # fmt: skip
