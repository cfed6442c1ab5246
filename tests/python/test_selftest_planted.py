"""Every misreading planted in trained models: the self-test names the knob, or is said not to."""

from __future__ import annotations

import pytest

import lenswright as lw
from lenswright import _core, demo
from lenswright.selftest.scan import reread
from lenswright.verifying.verify import relative_error
from planted import plant, record
from support import random_tokens

WEAK = {"norm eps: x 100", "norm eps: / 100"}
"""Faults that change so little that nothing but a comparison sees them."""

LEAST = {"TinyStories-656K": 20, "stories260K-hf": 20, "demo": 16}
"""How many faults have to be named."""


@pytest.fixture(params=LEAST)
def trained_model(request):
    """A trained model and its name."""
    if request.param == "demo":
        return "demo", lw.load(demo.MODEL)
    return request.param, lw.load(request.getfixturevalue("data") / request.param)


@pytest.mark.slow
def test_planted_faults_are_named(trained_model, capsys):
    name, model = trained_model
    missed = []
    for _, _, fault in _core.misreadings(model.core):
        outcome = plant(model, fault)
        record(name, fault, outcome)
        if not outcome["named"]:
            missed.append(fault)
    total = len(_core.misreadings(model.core))
    with capsys.disabled():
        print(f"\n{name}: {total - len(missed)} of {total} faults named; not {', '.join(missed)}")
    assert total - len(missed) >= LEAST[name]
    if name == "stories260K-hf":
        assert set(missed) <= WEAK


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gpt_oss", "gemma3_text", "deepseek_v3"])
def test_a_comparison_sees_faults_in_random_weights(family, name):
    """The model as read equals transformers to 1e-10 (test_families), so this is what it sees."""
    model, tokens = lw.load(family(name, ""), dtype="float64"), random_tokens(2, 24)
    right = model(tokens)
    unseen = [
        fault
        for _, _, fault in _core.misreadings(model.core)
        if relative_error(reread(model, [fault])(tokens), right) <= 1e-10
    ]
    # A router written another way is the same function; no gate here is as large as the limit.
    alike = {"router: softmax_last", "router: softmax_first", "limit of gate and up: none"}
    assert set(unseen) <= alike
