"""Parity: logits and every point against lifted transformers, float64 and float32."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from conftest import CONFIGS
from lenswright.reference import Reference
from lenswright.reference.points import is_expanded
from lenswright.verifying.verify import relative_error
from support import LIMITS, random_tokens, worst

TRAINED = ["TinyStories-656K", "stories260K-hf"]


def check_every_point(folder, tokens, dtype, record_property):
    model = lw.load(folder, dtype=dtype)
    reference = Reference(folder)
    names = reference.names()
    assert set(model.points()) >= {name for name in names if not is_expanded(name)}
    logits, cache = model.run_with_cache(tokens, names_filter=names)
    assert logits.dtype == getattr(torch, dtype)
    theirs = reference.points(tokens, names)
    error, where = worst(cache, theirs)
    at_logits = relative_error(logits, theirs["unembed.hook_out"])
    record_property("largest relative error", f"{error:.1e} at {where}; logits {at_logits:.1e}")
    assert max(error, at_logits) <= LIMITS[dtype], where


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_point_of_odd_sizes(tiny, name, dtype, record_property):
    check_every_point(tiny(name), random_tokens(3, 13), dtype, record_property)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (5, 2)])
def test_every_point_of_odd_lengths(tiny, name, shape, dtype, record_property):
    check_every_point(tiny(name), random_tokens(*shape), dtype, record_property)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_point_of_a_longer_batch(tiny, family, dtype, record_property):
    """Long enough for the blocked kernels of attention and of products."""
    sizes = {
        "llama": {"hidden_size": 192, "num_attention_heads": 6, "num_key_value_heads": 2,
                  "num_hidden_layers": 2, "intermediate_size": 500, "max_position_embeddings": 512},
        "gpt2": {"n_embd": 192, "n_head": 3, "n_layer": 2, "n_inner": 500, "n_positions": 512},
    }  # fmt: skip
    folder = tiny(family, vocab_size=1009, **sizes[family])
    check_every_point(folder, random_tokens(2, 300, 1009), dtype, record_property)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", TRAINED)
def test_every_point_of_a_trained_model(data, name, dtype, record_property):
    vocab = json.loads((data / name / "config.json").read_text())["vocab_size"]
    tokens = random_tokens(2, 48, vocab)
    tokens[:, 0] = 1
    check_every_point(data / name, tokens, dtype, record_property)


def test_late_positions_of_a_long_row(data):
    """Rotations are as exact at position 500 as at 5."""
    folder, tokens = data / "stories260K-hf", random_tokens(1, 512, 512)
    theirs = Reference(folder).points(tokens, ["blocks.4.attn.hook_rot_q", "unembed.hook_out"])
    for dtype, limit in LIMITS.items():
        _, cache = lw.load(folder, dtype=dtype).run_with_cache(tokens, names_filter=list(theirs))
        error, where = worst(cache, theirs)
        assert error <= limit, where


@pytest.mark.parametrize("stored", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_weights_stored_in_16_bits_are_widened_exactly(tiny, name, stored, tmp_path):
    folder = narrowed(tiny(name), tmp_path, getattr(torch, stored))
    tokens = random_tokens(2, 9)
    theirs = Reference(folder).points(tokens)
    for dtype, limit in LIMITS.items():
        _, cache = lw.load(folder, dtype=dtype).run_with_cache(tokens)
        error, where = worst(cache, theirs)
        assert error <= limit, where


@pytest.mark.parametrize(("dtype", "limit"), [("bfloat16", 0.1), ("float16", 0.01)])
@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_16_bit_computation_is_judged_against_float64(tiny, name, dtype, limit, tmp_path):
    folder = narrowed(tiny(name), tmp_path, getattr(torch, dtype))
    tokens = random_tokens(2, 9)
    logits = lw.load(folder, dtype=dtype)(tokens)
    theirs = Reference(folder).points(tokens, ["unembed.hook_out"])["unembed.hook_out"]
    assert logits.dtype == getattr(torch, dtype)
    assert relative_error(logits, theirs) <= limit


def test_auto_takes_the_stored_type(tiny, tmp_path):
    assert lw.load(tiny("llama"), dtype="auto")(random_tokens(1, 3)).dtype == torch.float32
    folder = narrowed(tiny("llama"), tmp_path, torch.bfloat16)
    tokens = random_tokens(2, 9)
    logits = lw.load(folder, dtype="auto")(tokens)
    theirs = Reference(folder).points(tokens, ["unembed.hook_out"])["unembed.hook_out"]
    assert relative_error(logits, theirs) <= 0.1


@pytest.mark.parametrize("act", ["relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_activation(tiny, family, act):
    key = "hidden_act" if family == "llama" else "activation_function"
    folder, tokens = tiny(family, **{key: act}), random_tokens(1, 7)
    theirs = Reference(folder).points(tokens, ["unembed.hook_out"])["unembed.hook_out"]
    assert relative_error(lw.load(folder, dtype="float64")(tokens), theirs) <= 1e-10


@pytest.mark.parametrize("flags", [
    {"attention_bias": True}, {"mlp_bias": True}, {"tie_word_embeddings": True},
    {"num_attention_heads": 1, "num_key_value_heads": 1}, {"head_dim": 4}, {"num_hidden_layers": 1},
    {"rms_norm_eps": 0.1}, {"intermediate_size": 1}, {"hidden_size": 2, "num_attention_heads": 1,
    "num_key_value_heads": 1}, {"rope_theta": 100.0},
], ids=str)  # fmt: skip
def test_llama_settings_one_at_a_time(tiny, flags):
    folder, tokens = tiny("llama", **flags), random_tokens(2, 7)
    error, where = worst(
        lw.load(folder, dtype="float64").run_with_cache(tokens)[1], Reference(folder).points(tokens)
    )
    assert error <= 1e-10, where


@pytest.mark.parametrize("flags", [
    {"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}, {"n_inner": 1},
    {"reorder_and_upcast_attn": True}, {"tie_word_embeddings": False}, {"n_head": 1},
    {"layer_norm_epsilon": 0.1}, {"n_layer": 1}, {"attn_pdrop": 0.5, "resid_pdrop": 0.5},
], ids=str)  # fmt: skip
def test_gpt2_settings_one_at_a_time(tiny, flags):
    folder, tokens = tiny("gpt2", **flags), random_tokens(2, 7)
    error, where = worst(
        lw.load(folder, dtype="float64").run_with_cache(tokens)[1], Reference(folder).points(tokens)
    )
    assert error <= 1e-10, where


@pytest.mark.parametrize("rope", [
    {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
    {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
     "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
], ids=lambda rope: rope["rope_type"])  # fmt: skip
def test_scaled_rotations_are_right_or_refused_by_name(tiny, rope, tmp_path):
    config = json.loads((tiny("llama") / "config.json").read_text())
    config["rope_parameters"] = rope
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(tiny("llama") / "model.safetensors", tmp_path)
    tokens = random_tokens(1, 33)
    try:
        model = lw.load(tmp_path, dtype="float64")
    except ValueError as refusal:
        said = str(refusal)
    else:
        error, where = worst(model.run_with_cache(tokens)[1], Reference(tmp_path).points(tokens))
        assert error <= 1e-10, where
        return
    assert rope["rope_type"] in said
    assert "rope" in said


def test_configs_of_transformers_4_mean_the_same(tiny, tmp_path):
    """rope_theta and torch_dtype at the top level, as older checkpoints have them."""
    folder = tiny("llama-grouped")
    config = json.loads((folder / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config |= {"rope_theta": rope["rope_theta"], "rope_scaling": None, "pretraining_tp": 1}
    config["torch_dtype"] = config.pop("dtype", "float32")
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(folder / "model.safetensors", tmp_path)
    tokens = random_tokens(1, 9)
    ours = [lw.load(path, dtype="float64")(tokens) for path in (tmp_path, folder)]
    assert torch.equal(*ours)


def narrowed(folder, to, dtype):
    """A copy of a checkpoint with its weights stored in a narrower type."""
    weights = {
        name: value.to(dtype) for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = str(dtype).removeprefix("torch.")
    (to / "config.json").write_text(json.dumps(config))
    return to
