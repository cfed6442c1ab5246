"""Live transformers models in and out, in every family."""

from __future__ import annotations

import pytest
import torch
import transformers

import lenswright as lw
from families import ROWS
from support import random_tokens, same


def opened(folder, row, dtype=torch.float32):
    # Experts one by one: the default asks for sizes that are multiples of 16 bytes.
    kind = getattr(transformers, row.auto)
    return kind.from_pretrained(folder, dtype=dtype, experts_implementation="eager").eval()


@pytest.mark.parametrize("name", ROWS)
def test_there_and_back(family, name):
    folder, tokens = family(name, ""), random_tokens(2, 9)
    theirs = opened(folder, ROWS[name])
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    loaded, shared = lw.load(folder), lw.from_transformers(theirs)
    assert shared.spec == loaded.spec
    assert set(shared.points()) == set(loaded.points())
    with lw.deterministic():
        expected = loaded(tokens)
        assert same(shared(tokens), expected)
    owned = {value.data_ptr() for value in theirs.state_dict().values()}
    assert {value.data_ptr() for value in shared.parameters().values()} <= owned
    assert all(same(value, before[key]) for key, value in theirs.state_dict().items())
    back = loaded.to_transformers()
    back.set_experts_implementation("eager")
    with torch.no_grad():
        assert same(back(tokens).logits, theirs(tokens).logits)


def test_changes_in_place_are_shared_and_edits_are_not(family):
    theirs = opened(family("llama", ""), ROWS["llama"])
    model, tokens = lw.from_transformers(theirs), random_tokens(2, 9)
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model))
    weight = theirs.model.layers[0].mlp.down_proj.weight
    before, was = model(tokens), weight.detach().clone()
    edit.apply(model)
    assert same(weight.detach(), was)
    edited = model.to_transformers()
    with torch.no_grad():
        assert torch.allclose(edited(tokens).logits, model(tokens), atol=1e-5)
    edit.revert(model)
    assert same(model(tokens), before)
    with torch.no_grad():
        weight.zero_()
    assert not same(model(tokens), before)


def test_a_tokenizer_comes_along():
    hf = transformers.AutoModelForCausalLM.from_pretrained(lw.demo.MODEL)
    model = lw.from_transformers(hf, transformers.AutoTokenizer.from_pretrained(lw.demo.MODEL))
    assert same(model("describe a kettle"), lw.load(lw.demo.MODEL)("describe a kettle"))


def test_unknown_models_are_refused_by_name():
    bert = transformers.BertConfig(hidden_size=30, num_attention_heads=3, num_hidden_layers=1)
    with pytest.raises(ValueError, match="BertModel"):
        lw.from_transformers(transformers.BertModel(bert))
