"""The self-test of a model: accounting, invariants, the knob scan, and who asks for it."""

from __future__ import annotations

import json
import warnings

import pytest
import torch

import lenswright as lw
from families import ROWS
from lenswright import demo
from lenswright.cli import main
from lenswright.selftest import invariants
from lenswright.selftest.accounting import account
from lenswright.selftest.run import Check, short_run
from lenswright.selftest.scan import reread, scan
from support import random_tokens, rewrite, same


@pytest.mark.parametrize("name", ROWS)
def test_the_invariants_hold_in_every_family(family, name):
    model = lw.load(family(name, ""))
    checks = invariants.check_invariants(short_run(model, None))
    assert len(checks) >= 10
    assert [check for check in checks if not check.ok] == []


def test_everything_is_accounted_for(tiny):
    found = account(lw.load(tiny("llama")))
    assert found.unread == found.unknown_keys == []
    assert found.tensors == len(lw.load(tiny("llama")).parameters())
    assert found.keys > 10
    assert found.problems() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(copy, capsys, value):
    folder, name = copy(), "model.layers.1.mlp.up_proj.weight"

    def spoil(weights):
        weights[name].view(-1)[:3] = value

    rewrite(folder, spoil)
    with pytest.raises(lw.VerificationError, match=rf"tensor '{name}' has [03] NaN"):
        lw.load(folder, verify=True)
    assert main(["verify", str(folder)]) == 1
    assert f"FAILS: tensor '{name}'" in capsys.readouterr().out
    assert lw.load(folder).cfg.n_layers == 3  # loading alone looks at no weight


def test_a_broken_invariant_is_named(tiny, monkeypatch):
    model = lw.load(tiny("llama"))
    broken = lambda run: Check("pattern · v = z", 0.5, 1e-9, "blocks.1")  # noqa: E731
    monkeypatch.setattr(invariants, "INVARIANTS", (broken,))
    found = model.verify()
    assert not found.ok
    assert "invariant 'pattern · v = z' fails: 5.0e-01 at blocks.1" in found.problems()[0]


def test_the_demonstration_model_is_read_as_it_was_trained():
    model = lw.load(demo.MODEL, verify=True)
    found = model.verify()
    assert found.ok
    assert found.judged
    assert found.scan.loss < 0.1 * found.scan.guess
    assert "nothing found wrong" in str(found)
    assert json.loads(json.dumps(found.to_json()))["ok"] is True


@pytest.mark.parametrize("name", ["TinyStories-656K", "stories260K-hf"])
def test_trained_models_are_read_as_they_were_trained(data, name):
    found = lw.load(data / name, verify=True).verify()
    assert found.ok, str(found)
    assert found.judged
    assert found.scan.text == "story"


def test_a_misread_model_is_refused_and_the_knob_named():
    model = reread(lw.load(demo.MODEL), ["rope layout: adjacent"])
    found = model.verify()
    assert not found.ok
    problem = found.problems()[0]
    assert "knob 'rope layout' is misread: with 'half' the loss" in problem
    assert f"FAILS: {problem}" in str(found)


def test_random_weights_are_not_judged(tiny, tmp_path):
    with pytest.warns(UserWarning, match="no tokenizer"):
        lw.load(tiny("llama"), verify=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = lw.load(tiny("gpt2")).verify()
    assert found.ok
    assert not found.judged
    assert "could not be judged" in str(found)


def test_a_text_that_the_model_does_not_know_is_not_judged():
    model = lw.load(demo.MODEL)
    found = scan(model, "zebras graze where rivers bend\n" * 3)
    assert found.silent
    assert found.problems() == []


def test_rereading_shares_every_tensor(tiny):
    model, tokens = lw.load(tiny("llama-grouped")), random_tokens(1, 9)
    before = model(tokens)
    for names in (["rope layout: adjacent"], ["key-value groups: every n-th head"]):
        other = reread(model, names)
        assert not torch.equal(other(tokens), before)
        stored = other.parameters()
        assert all(stored[n].data_ptr() == t.data_ptr() for n, t in model.parameters().items())
    assert same(model(tokens), before)
    there = reread(model, ["key-value groups: every n-th head"])
    back = reread(there, ["key-value groups: neighbours"])
    assert same(back(tokens), before)
    assert reread(model, [], "float64")(tokens).dtype == torch.float64


def test_misreadings_are_asked_for_by_name(tiny):
    model = lw.load(tiny("llama"))
    with pytest.raises(ValueError, match=r"did you mean 'rope layout: adjacent'\?"):
        reread(model, ["rope layout: adjacnt"])
    with pytest.raises(ValueError, match="does not apply"):
        reread(model, ["rope layout: half"])


def test_command(capsys, tmp_path):
    assert main(["verify", str(demo.MODEL), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["judged"]
    assert {"knob", "value", "loss_read", "loss", "verdict"} <= set(found["scan"]["knobs"][0])
    assert {check["name"] for check in found["invariants"]} >= {"pattern · v = z", "causality"}
    assert main(["verify", str(demo.MODEL), "--text", str(tmp_path / "no.txt")]) == 2
    assert "no.txt" in capsys.readouterr().err
