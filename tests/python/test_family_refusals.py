"""Config keys that ask for what is not computed: each is refused by name, with what is expected."""

from __future__ import annotations

import json

import pytest

from families import ROWS, config_of
from lenswright import _files

ATTENTION = "attn_config"

REFUSED = [
    ("bloom", {"apply_residual_connection_post_layernorm": True}, "apply_residual.*false"),
    ("codegen", {"n_head": 5}, "n_head.*multiple of 4"),
    ("codegen", {"rotary_dim": None}, "rotary_dim.*null"),
    ("cohere", {"head_dim": 12}, "head_dim.*expected 10"),
    ("cohere2", {"layer_types": ["full_attention", "linear_attention"] * 2}, "linear_attention"),
    ("cohere2", {"layer_types": ["full_attention"]}, "layer_types.*expected 4"),
    ("cohere2", {"sliding_window": None}, "sliding_window.*null"),
    ("cohere2", {"use_parallel_block": False}, "use_parallel_block.*expected true"),
    ("falcon", {"multi_query": False, "num_kv_heads": 1}, "num_kv_heads.*expected 3"),
    ("falcon", {"new_decoder_architecture": True, "parallel_attn": False}, "parallel_attn"),
    ("falcon", {"num_ln_in_parallel_attn": 2}, "num_ln_in_parallel_attn.*new_decoder"),
    ("falcon", {"apply_residual_connection_post_layernorm": True}, "apply_residual.*false"),
    ("gpt_bigcode", {"add_cross_attention": True}, "add_cross_attention"),
    ("gpt_neo", {"attention_layers": ["global"]}, "1 layers, expected 4"),
    ("gpt_neo", {"attention_layers": ["global", "strided"] * 2}, "strided.*global or local"),
    ("gpt_neox", {"rope_theta": 5000.0}, "rope_theta.*expected 10000.*rotary_emb_base"),
    ("gptj", {"rotary_dim": 7}, "7 numbers of a head"),
    ("gptj", {"n_head": 4}, "30.*no multiple.*4"),
    ("gptj", {"activation_function": "mish"}, "mish.*gelu_new"),
    ("mpt", {"expansion_ratio": 2}, "expansion_ratio.*expected 4"),
    ("mpt", {"logit_scale": "inv_sqrt_d_model"}, "logit_scale.*null"),
    ("mpt", {"no_bias": False}, "no_bias.*expected true"),
    ("mpt", {"norm_type": "rmsnorm"}, "norm_type.*low_precision_layernorm"),
    ("mpt", {ATTENTION: {"alibi": False}}, "alibi.*expected true"),
    ("mpt", {ATTENTION: {"alibi_bias_max": 16}}, "alibi_bias_max.*expected 8"),
    ("mpt", {ATTENTION: {"attn_type": "multiquery_attention"}}, "attn_type.*multihead"),
    ("mpt", {ATTENTION: {"clip_qkv": -1.0}}, "clip_qkv.*negative"),
    ("mpt", {ATTENTION: {"prefix_lm": True}}, "prefix_lm.*false"),
    ("mpt", {ATTENTION: {"qk_ln": True}}, "qk_ln.*false"),
    ("nemotron", {"num_key_value_heads": None}, "num_key_value_heads.*missing"),
    ("olmo", {"clip_qkv": 0.0}, "clip_qkv.*positive"),
    ("opt", {"scale_embeddings": True}, "scale_embeddings"),
    ("phi", {"rope_parameters": {"rope_type": "spiral"}}, "spiral"),
    ("stablelm", {"num_key_value_heads": 2}, "3.*no multiple.*2"),
    ("starcoder2", {"mlp_type": "gated"}, "mlp_type.*default"),
    ("starcoder2", {"norm_type": "rms_norm"}, "norm_type.*layer_norm"),
    ("xglm", {"add_cross_attention": True}, "add_cross_attention"),
]


def written(folder, name, changes):
    """A folder with a family's config.json, changed, and no weights."""
    config = config_of(ROWS[name]).to_dict()
    config["architectures"] = [ROWS[name].architecture]
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.mark.parametrize(("name", "changes", "match"), REFUSED)
def test_refused(tmp_path, name, changes, match):
    with pytest.raises(ValueError, match=f"(?s){match}") as caught:
        _files.read_spec((written(tmp_path, name, changes) / "config.json").read_text())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ROWS)
def test_every_key_is_known(tmp_path, name):
    config = (written(tmp_path, name, {}) / "config.json").read_text()
    assert _files.read_spec(config)["unknown_keys"] == []
