"""Every misreading planted in trained models: the self-test names the knob, or is said not to."""

from __future__ import annotations

import pytest

import lenswright as lw
from lenswright import _core, demo
from lenswright.selftest.knob import Knob
from lenswright.selftest.scan import reread, scan
from lenswright.verifying.verify import relative_error
from planted import plant, record
from support import random_tokens
from trained import train

WEAK = {"norm eps: x 100", "norm eps: / 100"}
"""Faults that change so little that nothing but a comparison sees them."""

LEAST = {"TinyStories-656K": 20, "stories260K-hf": 20, "demo": 16}
"""How many faults have to be named."""

NUMBERED = {
    "capped": ["score softcap: none", "score softcap: 30", "score scale: 1 / d_head",
               "embedding scale: 1", "window: none", "window: 128",
               "window by layer: in the other layers"],
    "scaled": ["logit scale: 1", "logit scale: 0.125", "residual scale: 1", "residual scale: 0.22",
               "embedding scale: 1", "embedding scale: 12"],
    "windowed": ["window: none", "residual scale: 0.22"],
    "unsure": ["logit softcap: none", "logit softcap: 30", "logit softcap: 50"],
}  # fmt: skip
"""Faults in the numbers of models that have such numbers; those here have to be named."""
KNOBS = ("score softcap", "logit softcap", "window", "logit scale", "residual scale",
         "embedding scale", "score scale")  # fmt: skip


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
    known = set(_core.all_misreadings())  # other numbers are planted where models have such
    faults = [fault for _, _, fault in _core.misreadings(model.core) if fault in known]
    for fault in faults:
        outcome = plant(model, fault)
        record(name, fault, outcome)
        if not outcome["named"]:
            missed.append(fault)
    total = len(faults)
    with capsys.disabled():
        print(f"\n{name}: {total - len(missed)} of {total} faults named; not {', '.join(missed)}")
    assert total - len(missed) >= LEAST[name]
    if name == "stories260K-hf":
        assert set(missed) <= WEAK


@pytest.fixture(scope="session")
def numbered(tmp_path_factory):
    """A tiny model of `trained.NUMBERS`, trained once, and the text to read (None: the story)."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = train(tmp_path_factory.mktemp(name), name)
        own = made[name] / "text.txt"
        return lw.load(made[name]), own.read_text(encoding="utf-8") if own.exists() else None

    return get


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_dropped_or_wrong_are_named(numbered, name):
    model, text = numbered(name)
    missed = []
    for knob, _, fault in _core.misreadings(model.core):
        if knob in KNOBS or knob == "window by layer":
            outcome = plant(model, fault, text)
            record(f"tiny model, {name}", fault, outcome)
            missed += [] if outcome["named"] else [fault]
    assert set(missed) & set(NUMBERED[name]) == set()


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_read_right_are_not_accused(numbered, name):
    model, text = numbered(name)
    found = model.verify(text)
    assert found.judged, str(found)
    assert found.ok, str(found)


def test_a_window_that_no_row_reaches_cannot_be_seen(numbered):
    model, _ = numbered("scaled")
    reread(model, ["window: 128 in every layer"])
    knob = Knob("window", "none", "window: none", sight=4096, row=398)
    assert knob.verdict == "cannot be seen with 398 tokens"
    found = scan(model, "Once upon a time there was a small house by the sea. " * 4)
    verdicts = {k.name: k.verdict for k in found.knobs}
    assert verdicts["window: 128 in every layer"].startswith("cannot be seen with ")


def _beyond(fault, length):
    """Whether a fault is a window wider than a row."""
    size = fault.removeprefix("window: ").split(" ")[0]
    return fault.startswith("window: ") and size.isdigit() and int(size) >= length


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
    assert {fault for fault in unseen if not _beyond(fault, tokens.shape[1])} <= alike
