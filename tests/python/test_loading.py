"""What loads, from which layouts, and what is refused: one clear sentence each."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from lenswright.reference import Reference
from lenswright.verify import relative_error
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2"]


@pytest.fixture
def copy(tiny, tmp_path):
    """copy(name, config changes): a checkpoint of its own, to be spoilt."""

    def make(name="llama", **changes):
        folder = tmp_path / "model"
        shutil.copytree(tiny(name), folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def rewrite(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights = change(weights) or weights
    path.unlink()
    save_file({n: w.contiguous() for n, w in weights.items()}, path, {"format": "pt"})


def refused(folder, match, error=(ValueError, lw.CheckpointError, KeyError, FileNotFoundError)):
    with pytest.raises(error, match=match) as caught:
        lw.load(folder)
    assert "\n" not in str(caught.value).strip()


# --- layouts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_shards(tiny, name, tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny(name), dtype=torch.float32)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    tokens = random_tokens(2, 7)
    assert same(lw.load(tmp_path)(tokens), lw.load(tiny(name))(tokens))


def test_gpt2_files_without_the_prefix(copy, tiny):
    """The first GPT-2 checkpoints: no `transformer.`, and causal masks stored as tensors."""
    folder = copy("gpt2")

    def strip(weights):
        bare = {n.removeprefix("transformer."): w for n, w in weights.items()}
        for i in range(3):
            bare[f"h.{i}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        return bare

    rewrite(folder, strip)
    tokens = random_tokens(2, 7)
    assert same(lw.load(folder)(tokens), lw.load(tiny("gpt2"))(tokens))


def test_a_tied_head_that_is_stored_again(copy, tiny):
    folder = copy("llama-grouped")

    def store(weights):
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()

    rewrite(folder, store)
    tokens = random_tokens(2, 7)
    assert same(lw.load(folder)(tokens), lw.load(tiny("llama-grouped"))(tokens))


def test_weights_are_views_of_what_is_stored(tiny):
    """Nothing is copied at load: parameters carry the stored type, shape and bytes."""
    for name in BOTH:
        stored = load_file(tiny(name) / "model.safetensors")
        parameters = lw.load(tiny(name)).parameters()
        assert set(parameters) == set(stored)
        assert all(same(parameters[n].detach(), stored[n]) for n in stored)


def test_a_loaded_model_does_not_change_with_its_files(copy):
    folder = copy("llama")
    model, tokens = lw.load(folder), random_tokens(2, 7)
    before = model(tokens)
    rewrite(folder, lambda weights: {n: w * 0 for n, w in weights.items()})
    assert same(model(tokens), before)


def test_changed_parameters_never_reach_the_file(copy):
    folder = copy("llama")
    data = (folder / "model.safetensors").read_bytes()
    model, tokens = lw.load(folder), random_tokens(2, 7)
    before = model(tokens)
    with torch.no_grad():
        model.parameters()["model.embed_tokens.weight"].mul_(2)
    assert not same(model(tokens), before)
    assert (folder / "model.safetensors").read_bytes() == data


def test_configuration(tiny):
    cfg = lw.load(tiny("llama-grouped")).cfg
    found = [cfg.n_layers, cfg.d_model, cfg.n_heads, cfg.n_key_value_heads, cfg.d_head, cfg.d_mlp,
             cfg.d_vocab, cfg.n_ctx, cfg.act_fn]  # fmt: skip
    assert found == [3, 40, 4, 2, 10, 37, 97, 64, "silu"]
    cfg = lw.load(tiny("gpt2")).cfg
    assert [cfg.n_layers, cfg.d_model, cfg.n_heads, cfg.d_head, cfg.d_mlp] == [3, 30, 3, 10, 47]
    with pytest.raises(AttributeError, match="n_layers"):
        _ = cfg.n_layer
    assert len(repr(lw.load(tiny("llama")))) < 1000


def test_dtype_may_be_torchs(tiny):
    tokens = random_tokens(1, 3)
    assert lw.load(tiny("llama"), dtype=torch.float64)(tokens).dtype == torch.float64


# --- refusals --------------------------------------------------------------------------------


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
    refused(copy(model_type="rwkv", architectures=["RwkvForCausalLM"]), r"(?i)rwkv.*gpt2.*llama")


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


# --- inputs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [97, -1, 10**12])
@pytest.mark.parametrize("name", BOTH)
def test_ids_out_of_the_vocabulary(tiny, name, bad):
    model = lw.load(tiny(name))
    tokens = random_tokens(2, 5)
    tokens[1, 3] = bad
    for call in (
        lambda: model(tokens),
        lambda: model.run_with_cache(tokens),
        lambda: model.capture(tokens, ["hook_embed"]),
        lambda: model.generate(tokens, max_new_tokens=2),
        lambda: model(tokens.tolist()),
    ):
        with pytest.raises((ValueError, IndexError), match=rf"{bad}.*97|97.*{bad}"):
            call()


def test_prompts_longer_than_learned_positions(tiny):
    with pytest.raises((ValueError, IndexError), match=r"65.*64|64.*65"):
        lw.load(tiny("gpt2"))(random_tokens(1, 65))


def test_rotations_go_on_behind_the_context(tiny):
    """As in transformers: max_position_embeddings does not bound a rotary model's prompt."""
    tokens = random_tokens(1, 70)
    theirs = Reference(tiny("llama")).points(tokens, ["unembed.hook_out"])["unembed.hook_out"]
    assert relative_error(lw.load(tiny("llama"), dtype="float64")(tokens), theirs) <= 1e-10


def test_text_without_a_tokenizer(tiny):
    with pytest.raises((ValueError, FileNotFoundError), match="tokenizer"):
        lw.load(tiny("llama"))("hello")
