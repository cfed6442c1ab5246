"""Where a text ends and what a call leaves open: stops, a checkpoint's habits, wrong arguments."""

from __future__ import annotations

import inspect
import itertools
import json
import shutil

import pytest
import torch

import embedded
import lenswright as lw
import wordy
from lenswright.generating.generation_config import end_ids
from support import random_tokens

HOW = {"max_new_tokens": 30, "stop_at_eos": False}


@pytest.fixture
def habits(tiny, tmp_path):
    """habits(**settings): the tiny Llama with this generation_config.json."""

    number = itertools.count()

    def make(text=None, **settings):
        folder = tmp_path / f"model{next(number)}"
        shutil.copytree(tiny("llama", max_position_embeddings=160), folder)
        (folder / "generation_config.json").write_text(text or json.dumps(settings))
        return lw.load(folder, dtype="float64")

    return make


def test_defaults_of_the_checkpoint(habits):
    """Every argument left None is the file's, and is what naming it would have given."""
    given = {"temperature": 1.4, "top_k": 20, "top_p": 0.9, "min_p": 0.01,
             "repetition_penalty": 1.2}  # fmt: skip
    tokens = random_tokens(2, 4)
    model = habits(do_sample=True, max_new_tokens=7, eos_token_id=[90, 91], **given)
    how = {"max_new_tokens": None, "temperature": None, "stop_at_eos": False}
    drawn = model.generate(tokens, **how)
    assert drawn.shape == (2, 11)
    plain = habits(eos_token_id=[90, 91])
    assert torch.equal(drawn, plain.generate(tokens, 7, stop_at_eos=False, **given))
    assert not torch.equal(drawn, model.generate(tokens, seed=5, **how))
    # greedy by default; a penalty acts all the same, as in transformers
    how = {"max_new_tokens": 7, "stop_at_eos": False}
    greedy = plain.generate(tokens, **how)
    penalized = plain.generate(tokens, repetition_penalty=1.2, **how)
    assert torch.equal(model.generate(tokens, **how), penalized)
    assert torch.equal(model.generate(tokens, repetition_penalty=1.0, **how), greedy)
    silent = habits(do_sample=False, temperature=0.6, top_p=0.9)
    assert torch.equal(silent.generate(tokens, temperature=None, **how), greedy)


def test_length_of_the_checkpoint(habits):
    tokens = random_tokens(1, 4)
    assert habits(max_length=10).generate(tokens, None, stop_at_eos=False).shape == (1, 10)
    assert habits().generate(tokens, None, stop_at_eos=False).shape == (1, 68)


def test_any_of_several_end_tokens(habits):
    said = habits().generate(random_tokens(3, 5), return_type="tokens", **HOW)
    ends = [said[0][9], said[2][4]]
    model = habits(eos_token_id=ends)
    assert end_ids(model) == ends
    for row, whole in zip(
        model.generate(random_tokens(3, 5), 30, return_type="tokens"), said, strict=True
    ):
        places = [whole.index(end) for end in ends if end in whole]
        assert row == whole[: min(places) + 1 if places else 30]


def test_what_is_not_done_is_said(habits):
    model = habits(no_repeat_ngram_size=3, num_beams=1, typical_p=0.9)
    with pytest.warns(UserWarning, match="no_repeat_ngram_size 3, which is not done") as seen:
        model.generate(random_tokens(1, 3), 2)
    assert "typical_p" not in str(seen[0].message)  # only where tokens are drawn
    with pytest.warns(UserWarning, match=r"typical_p 0\.9"):
        model.generate(random_tokens(1, 3), 2, temperature=1.0)
    with pytest.warns(UserWarning, match=r"top_p is 0\.9, which changes nothing at temperature 0"):
        habits().generate(random_tokens(1, 3), 2, top_p=0.9)


def test_broken_files_are_named(habits):
    for text, line in (("{", "generation_config.json is no JSON"), ("[1]", "expected an object")):
        with pytest.raises(ValueError, match=line):
            habits(text).generate(random_tokens(1, 3))
    with pytest.raises(TypeError, match=r"generation_config\.json's top_k is 'many'"):
        habits(do_sample=True, top_k="many").generate(random_tokens(1, 3), temperature=None)


# --- stops --------------------------------------------------------------------------------------


def test_stop_ids_and_texts_end_their_own_row():
    model = embedded.model()
    rows = model.prompt_tokens([row["prompt"] for row in embedded.rows("test", "benign", 6)])
    whole = model.generate(rows, 14, return_type="both")
    word = whole.texts[0].split()[3]
    token = model.tokenizer.encode_verbatim(word)[0]
    by_text = model.generate(rows, 14, stop=word, return_type="both")
    by_id = model.generate(rows, 14, stop=[token], return_type="both")
    assert by_text.texts[0] == whole.texts[0].partition(word)[0]
    assert len(by_text.texts[0]) < len(whole.texts[0])
    for row, text in enumerate(whole.texts):
        assert by_text.texts[row] == text.partition(word)[0]
        expected = whole.tokens[row]
        if token in expected:
            expected = expected[: expected.index(token) + 1]
            assert by_text.ends[row] == by_id.ends[row] == "stop"
        assert by_id.tokens[row] == by_text.tokens[row] == expected


@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_a_stop_text_may_begin_and_end_inside_tokens(data, length):
    model = lw.load(data / "TinyStories-656K")
    prompt = "Once upon a time"
    whole = model.generate(prompt, 60, return_type="text")
    pieces = model.generate(prompt, 60, return_type="both").tokens[0]
    ends = [len(model.tokenizer.decode(pieces[:i], True)) for i in range(1, len(pieces))]
    inside = [place for place in range(20, 80) if place not in ends]
    for place in inside[::9]:
        stop = whole[place : place + length]
        first = whole.find(stop)
        made = model.generate(prompt, 60, stop=[stop, "never said"], return_type="both")
        assert made.texts == [whole[:first]]
        assert made.ends == ["stop"]
        said = model.tokenizer.decode(made.tokens[0], True)
        assert stop in said
        assert stop not in model.tokenizer.decode(made.tokens[0][:-1], True)
        continued = model.generate(prompt, 60, stop=stop)
        assert continued == model.generate(prompt, 60)[: len(continued)]
        assert continued.endswith(whole[:first] or prompt)


def test_the_text_of_a_special_token_is_its_id(tiny, tmp_path):
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"))
    said = model.generate(random_tokens(1, 5), return_type="tokens", **HOW)[0]
    special = wordy.SPECIAL[4]
    made = model.generate(random_tokens(1, 5), stop=special, return_type="tokens", **HOW)[0]
    end = wordy.ids(special)[0]
    assert made == (said[: said.index(end) + 1] if end in said else said)


# --- wrong calls --------------------------------------------------------------------------------

WRONG = [
    ({"temperature": -1.0}, ValueError, "temperature is -1, expected 0 .greedy. or a positive"),
    ({"temperature": float("nan")}, ValueError, "temperature is nan"),
    ({"temperature": "hot"}, TypeError, "temperature is 'hot', expected a number"),
    ({"temperature": 1.0, "top_k": -3}, ValueError, "top_k is -3, expected at least 1, or 0"),
    ({"temperature": 1.0, "top_k": 2.5}, TypeError, "top_k is 2.5, expected a whole number"),
    ({"temperature": 1.0, "top_p": 1.2}, ValueError, "top_p is 1.2, expected 0 to 1"),
    ({"temperature": 1.0, "min_p": -0.1}, ValueError, "min_p is -0.1, expected 0 to 1"),
    ({"repetition_penalty": 0.0}, ValueError, "repetition_penalty is 0, expected a positive"),
    ({"frequency_penalty": float("inf")}, ValueError, "frequency_penalty is inf, expected a"),
    ({"presence_penalty": True}, TypeError, "presence_penalty is True, expected a number"),
    ({"max_new_tokens": 0}, ValueError, "max_new_tokens is 0, expected at least 1"),
    ({"max_new_tokens": 2.0}, TypeError, "max_new_tokens is 2.0, expected a whole number"),
    ({"seed": [1, 2, 3]}, ValueError, "seed has 3 entries, expected one for each of 2 rows"),
    ({"seed": -1}, ValueError, r"seed is -1, expected 0 to 2\*\*64 - 1"),
    ({"stop": 97}, ValueError, "stop has id 97, expected 0 to 96"),
    ({"stop": ["a", 1.5]}, TypeError, "stop has 1.5, expected texts and token ids"),
    ({"stop": [""]}, ValueError, "stop has an empty text"),
    ({"stream": "yes"}, TypeError, "stream is 'yes', expected True, False or a function"),
    ({"stream": True}, ValueError, "stream is True, which prints one row, but there are 2"),
    ({"return_type": "txet"}, ValueError, "return_type is 'txet'.*did you mean 'text'"),
    ({"hooks_on": "both "}, ValueError, "hooks_on is 'both ', expected one of"),
    ({"padding_side": "top"}, ValueError, "padding_side is 'top'"),
    ({"temprature": 0.5}, TypeError, "no argument 'temprature'; did you mean 'temperature'"),
    ({"names_filters": "*"}, TypeError, "did you mean 'names_filter'"),
    ({"xyz": 1}, TypeError, "generate.. has no argument 'xyz', expected x, max_new_tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "kind", "line"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_arguments(tiny, tmp_path_factory, how, kind, line):
    model = lw.load(wordy.copy(tiny("llama"), tmp_path_factory.mktemp("w") / "m"))
    with pytest.raises(kind, match=line):
        model.generate(random_tokens(2, 3), **how)
    known = inspect.signature(model.generate_stream).parameters
    if next(iter(how)) in known:
        with pytest.raises(kind, match=line):  # at the call, not at the first chunk
            model.generate_stream(random_tokens(2, 3), **how)


def test_an_id_out_of_range(tiny):
    model = lw.load(tiny("llama"))
    for how in ({}, {"repetition_penalty": 1.5}, {"temperature": 1.0}):
        with pytest.raises(IndexError, match="tokens has id 97, expected 0 to 96"):
            model.generate([[5, 97]], 2, **how)
