"""What does not load: one clear sentence each."""

from __future__ import annotations

import json
import warnings

import pytest
import torch

import lenswright as lw
from support import rewrite

BOTH = ["llama-grouped", "gpt2"]


def refused(folder, match, error=(ValueError, lw.CheckpointError, KeyError, FileNotFoundError)):
    with pytest.raises(error, match=match) as caught:
        lw.load(folder)
    assert "\n" not in str(caught.value).strip()


def test_missing_folder(tmp_path):
    refused(tmp_path / "nowhere", "nowhere")


def test_no_config(copy):
    folder = copy()
    (folder / "config.json").unlink()
    refused(folder, r"config\.json")


def test_no_weights(copy):
    folder = copy()
    (folder / "model.safetensors").unlink()
    refused(folder, "safetensors")


def test_pickles_are_never_opened(copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, r"pytorch_model\.bin|pickle|convert")


def test_unknown_family(copy):
    refused(copy(model_type="new", architectures=["NewForCausalLM"]), r"(?i)newfor.*gpt2.*llama")


def test_no_family(copy):
    folder = copy()
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"], config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "model_type")


def test_quantised(copy):
    folder = copy(quantization_config={"quant_method": "gptq", "bits": 4})
    refused(folder, "quantization_config|gptq")


def test_config_that_is_no_json(copy):
    folder = copy()
    (folder / "config.json").write_text("{ not json")
    refused(folder, r"config\.json")


@pytest.mark.parametrize("changes", [
    {"num_hidden_layers": "three"}, {"num_attention_heads": 0}, {"hidden_size": -30},
    {"num_key_value_heads": 2}, {"rms_norm_eps": "small"}, {"hidden_act": "swoosh"},
    {"vocab_size": 98}, {"num_hidden_layers": 4}, {"num_hidden_layers": 2}, {"hidden_size": 33},
    {"intermediate_size": 36}, {"tie_word_embeddings": "yes"},
], ids=str)  # fmt: skip
def test_configs_that_do_not_fit(copy, changes):
    refused(copy(**changes), ".")


def test_a_setting_of_the_wrong_kind_is_named(copy):
    refused(copy(hidden_act="swoosh"), "swoosh")


def test_misspelt_dtype_and_device(tiny):
    with pytest.raises(ValueError, match="float32"):
        lw.load(tiny("llama"), dtype="flaot32")
    with pytest.raises((ValueError, RuntimeError), match=r"gpu|device"):
        lw.load(tiny("llama"), device="gpu")


@pytest.mark.parametrize("name", BOTH)
def test_missing_tensor(copy, name):
    folder = copy(name)
    gone = "mlp.down_proj.weight" if name.startswith("llama") else "mlp.c_proj.weight"
    at = "model.layers" if name.startswith("llama") else "transformer.h"
    rewrite(folder, lambda weights: {n: w for n, w in weights.items() if n != f"{at}.1.{gone}"})
    refused(folder, rf"1\.{gone}")


def test_unexpected_tensor(copy):
    folder = copy()
    rewrite(folder, lambda weights: {**weights, "model.layers.0.surprise": torch.ones(3)})
    refused(folder, r"model\.layers\.0\.surprise")


def test_wrong_shape_and_type(copy):
    folder = copy()

    def shape(weights):
        weights["model.norm.weight"] = torch.ones(31)

    rewrite(folder, shape)
    refused(folder, r"model\.norm\.weight.*31|31.*model\.norm\.weight")

    def kind(weights):
        weights["model.norm.weight"] = torch.ones(30, dtype=torch.int8)

    rewrite(folder, kind)
    refused(folder, r"model\.norm\.weight.*I8|I8.*model\.norm\.weight")


def test_truncated_shard(copy):
    folder = copy()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, r"model\.safetensors", lw.CheckpointError)


def test_unknown_config_key_is_named_once(copy):
    folder = copy(attention_sauce="hot")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lw.load(folder)
    assert len([w for w in caught if "attention_sauce" in str(w.message)]) == 1
    with pytest.raises(ValueError, match="attention_sauce"):
        lw.load(folder, strict=True)


def test_known_config_keys_raise_no_warning(tiny, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for folder in (tiny("llama"), tiny("gpt2-flags"), *sorted(data.glob("*-*"))):
            lw.load(folder)
