"""What loads, from which layouts; what a model is given."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import random_tokens, rewrite, same

BOTH = ["llama-grouped", "gpt2"]


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
