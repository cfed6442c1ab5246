"""GPT-2 and the families that branched off before Llama: each has config keys of its own."""

from __future__ import annotations

from typing import Any

from families.row import VOCAB, Row, rope, sizes

_GPT2: dict[str, Any] = {
    "n_embd": 30, "n_head": 3, "n_layer": 3, "n_inner": 47, "n_positions": 64, "vocab_size": VOCAB,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_BLOOM = {
    "hidden_size": 30, "n_head": 3, "n_layer": 3, "vocab_size": VOCAB, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
_FALCON = {
    "hidden_size": 30, "num_attention_heads": 3, "num_hidden_layers": 3, "ffn_hidden_size": 47,
    "vocab_size": VOCAB, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_MPT = {
    "d_model": 30, "n_heads": 3, "n_layers": 3, "max_seq_len": 64, "vocab_size": VOCAB,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_OPT = {
    "hidden_size": 30, "num_attention_heads": 3, "num_hidden_layers": 3, "ffn_dim": 47,
    "vocab_size": VOCAB, "max_position_embeddings": 64, "word_embed_proj_dim": 30,
    "bos_token_id": 2, "eos_token_id": 2,
}  # fmt: skip
_XGLM = {
    "d_model": 30, "attention_heads": 3, "num_layers": 3, "ffn_dim": 47, "vocab_size": VOCAB,
    "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

ROWS = [
    Row("bloom", "BloomForCausalLM", _BLOOM, {
        "eight heads": {"n_head": 8, "hidden_size": 40},
        "untied": {"tie_word_embeddings": False, "layer_norm_epsilon": 1e-3},
    }),
    Row("codegen", "CodeGenForCausalLM", _GPT2 | {"n_embd": 80, "n_head": 8, "rotary_dim": 6}, {
        "whole heads": {"rotary_dim": 10, "activation_function": "gelu", "n_inner": None},
        "tied": {"tie_word_embeddings": True, "layer_norm_epsilon": 1e-3},
    }),
    Row("falcon", "FalconForCausalLM", _FALCON, {
        "many keys": {"multi_query": False},
        "40b": {"new_decoder_architecture": True, "hidden_size": 40, "num_attention_heads": 4,
                "num_kv_heads": 2},
        "11b": {"new_decoder_architecture": True, "hidden_size": 40, "num_attention_heads": 4,
                "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
        "rw": {"alibi": True, "bias": True, "parallel_attn": False, "multi_query": False},
        "rw with one key": {"alibi": True, "bias": True, "parallel_attn": False},
        "untied": {"tie_word_embeddings": False, "ffn_hidden_size": None, "bias": True,
                   "activation": "relu", "layer_norm_epsilon": 1e-3} | rope(1234.5),
    }),
    Row("gpt2", "GPT2LMHeadModel", _GPT2, {
        "untied": {"tie_word_embeddings": False, "n_inner": None, "activation_function": "gelu"},
        "scales": {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False,
                   "reorder_and_upcast_attn": True},
    }),
    Row("gpt_bigcode", "GPTBigCodeForCausalLM", _GPT2, {
        "many keys": {"multi_query": False},
        "unscaled": {"scale_attn_weights": False, "n_inner": None, "activation_function": "gelu",
                     "tie_word_embeddings": False},
    }),
    Row("gpt_neo", "GPTNeoForCausalLM", {
        "hidden_size": 30, "num_heads": 3, "num_layers": 4, "intermediate_size": 47,
        "attention_types": [[["global", "local"], 2]], "window_size": 5, "vocab_size": VOCAB,
        "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
    }, {
        "untied": {"tie_word_embeddings": False, "intermediate_size": None,
                   "activation_function": "gelu", "layer_norm_epsilon": 1e-3},
        "mostly local": {"attention_types": [[["local"], 3], [["global"], 1]], "window_size": 1},
    }),
    Row("gpt_neox", "GPTNeoXForCausalLM",
        sizes(intermediate_size=47) | rope(partial_rotary_factor=0.4), {
        "serial": {"use_parallel_residual": False, "attention_bias": False},
        "whole heads": {"tie_word_embeddings": True, "hidden_act": "gelu_fast"}
        | rope(1234.5, partial_rotary_factor=1.0),
    }),
    Row("gptj", "GPTJForCausalLM", _GPT2 | {"rotary_dim": 6}, {
        "whole heads": {"rotary_dim": 10, "activation_function": "gelu", "n_inner": None},
        "tied": {"tie_word_embeddings": True, "layer_norm_epsilon": 1e-3},
    }),
    Row("mpt", "MptForCausalLM", _MPT, {
        "clipped": {"attn_config": {"clip_qkv": 0.7}},
        "eight heads": {"n_heads": 8, "d_model": 40, "tie_word_embeddings": False},
        "scaled": {"attn_config": {"softmax_scale": 0.2},
                   "layer_norm_epsilon": 1e-3},
    }),
    Row("opt", "OPTForCausalLM", _OPT, {
        "350m": {"word_embed_proj_dim": 16, "do_layer_norm_before": False},
        "narrow": {"word_embed_proj_dim": 16},
        "untied": {"tie_word_embeddings": False, "enable_bias": False,
                   "activation_function": "gelu"},
        "plain norms": {"layer_norm_elementwise_affine": False},
        "no last norm": {"_remove_final_layer_norm": True},
    }),
    Row("xglm", "XGLMForCausalLM", _XGLM, {
        "unscaled": {"scale_embedding": False, "activation_function": "relu"},
        "untied": {"tie_word_embeddings": False},
    }),
]  # fmt: skip
