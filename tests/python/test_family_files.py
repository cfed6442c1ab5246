"""Checkpoints as they were published: older names, older config keys, tensors that hold nothing."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import lenswright as lw
from support import random_tokens, rewrite


def renamed(old, new):
    """Weights under the names of another release."""
    return lambda weights: {name.replace(old, new, 1): w for name, w in weights.items()}


def with_tensors(**extra):
    """Weights beside tensors that hold none; "__" stands for a dot."""
    more = {name.replace("__", "."): value for name, value in extra.items()}
    return lambda weights: weights | more


def with_head(embedding):
    """Tied weights whose file holds the unembedding too."""
    return lambda weights: weights | {"lm_head.weight": weights[embedding].clone()}


MASK = torch.ones(1, 1, 4, 4)
LAYOUTS = [
    ("bloom", renamed("transformer.", "")),
    ("codegen", with_tensors(transformer__h__0__attn__causal_mask=MASK)),
    ("falcon", with_head("transformer.word_embeddings.weight")),
    ("gpt_bigcode", with_tensors(transformer__h__1__attn__bias=MASK)),
    ("gpt_neo", with_tensors(transformer__h__0__attn__attention__masked_bias=torch.ones(1))),
    ("gpt_neo", renamed("transformer.", "")),
    ("gpt_neox", renamed("embed_out.", "lm_head.")),
    ("gpt_neox", renamed("lm_head.", "embed_out.")),
    ("gpt_neox", with_tensors(gpt_neox__layers__0__attention__rotary_emb__inv_freq=torch.ones(2))),
    ("gptj", with_tensors(transformer__h__2__attn__masked_bias=torch.ones(1))),
    ("opt", renamed("model.", "")),
    ("opt", with_head("model.decoder.embed_tokens.weight")),
    ("xglm", with_tensors(model__embed_positions__weights=torch.ones(66, 30))),
]

KEYS = [
    ("bloom", {"hidden_size": "n_embed", "n_layer": "num_hidden_layers",
               "n_head": "num_attention_heads"}),
    ("codegen", {"n_embd": "hidden_size", "n_positions": "max_position_embeddings"}),
    ("falcon", {"hidden_size": "n_embed", "num_hidden_layers": "n_layer",
                "num_attention_heads": "n_head"}),
    ("gpt_neo", {"num_layers": "num_hidden_layers", "attention_layers": None}),
    ("mpt", {"d_model": "hidden_size", "n_heads": "num_attention_heads"}),
    ("xglm", {"d_model": "hidden_size", "attention_heads": "num_attention_heads"}),
]  # fmt: skip

ROPES = [
    ("cohere", {"rope_theta": 500000.0}),
    ("gpt_neox", {"rotary_emb_base": 10000, "rotary_pct": 0.4}),
    ("nemotron", {"rope_theta": 10000.0, "partial_rotary_factor": 0.4}),
    ("phi", {"rope_theta": 10000.0, "partial_rotary_factor": 0.4, "rope_scaling": None}),
    ("stablelm", {"rope_theta": 10000.0, "partial_rotary_factor": 0.4}),
]


@pytest.fixture
def copied(family, tmp_path):
    """(a family's checkpoint, a copy of it to be changed)."""

    def make(name):
        shutil.copytree(family(name), tmp_path / "copy")
        return family(name), tmp_path / "copy"

    return make


def assert_equal(one, other):
    tokens = random_tokens(2, 11)
    assert torch.equal(lw.load(one, strict=True)(tokens), lw.load(other, strict=True)(tokens))


def change_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(("name", "change"), LAYOUTS)
def test_other_tensors(copied, name, change):
    one, other = copied(name)
    rewrite(other, change)
    assert_equal(one, other)


@pytest.mark.parametrize(("name", "keys"), KEYS)
def test_other_keys(copied, name, keys):
    def change(config):
        for old, new in keys.items():
            value = config.pop(old)
            if new:
                config[new] = value

    one, other = copied(name)
    change_config(other, change)
    assert_equal(one, other)


@pytest.mark.parametrize(("name", "keys"), ROPES)
def test_rotations_as_older_configs_say_them(copied, name, keys):
    def change(config):
        del config["rope_parameters"]
        config.update(keys)

    one, other = copied(name)
    change_config(other, change)
    assert_equal(one, other)


def test_a_missing_bias_is_missed(copied):
    _, other = copied("gptj")
    rewrite(other, lambda weights: {n: w for n, w in weights.items() if n != "lm_head.bias"})
    with pytest.raises(lw.CheckpointError, match=r"lm_head\.bias.*missing"):
        lw.load(other)
