"""How tokens are drawn: transformers' processors to the bit, frequencies, seeds of rows."""

from __future__ import annotations

import itertools

import pytest
import torch

import lenswright as lw
from lenswright import _core
from support import random_tokens

VOCAB = 97
SETTINGS = [
    dict(zip(("temperature", "top_k", "top_p", "min_p"), values, strict=True))
    for values in itertools.product((0.4, 1.0, 1.9), (0, 1, 20, 200), (0.3, 0.95, 1.0), (0.0, 0.1))
]


def logits(rows: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, VOCAB, generator=generator, dtype=dtype)


def processors(**how):
    """What transformers would do to the logits, in its own order."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1,
                         intermediate_size=8, vocab_size=VOCAB)  # fmt: skip
    given = {name: value for name, value in how.items() if name != "top_k" or value}
    settings = GenerationConfig(do_sample=True, **given)
    settings.top_k = given.get("top_k")  # its own default is 50
    model = LlamaForCausalLM(config)
    return model._get_logits_processor(settings, input_ids_seq_length=6, device="cpu")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_filters_are_those_of_transformers(dtype):
    x, tokens = logits(dtype=dtype), random_tokens(5, 6)
    for how in SETTINGS:
        ours, theirs = _core.filtered(x, _core.Sampling(**how)), processors(**how)(tokens, x)
        assert torch.equal(ours, theirs), how
        assert ours.isfinite().any(-1).all()


def test_penalties_and_filters_together(tiny):
    """One processor list of transformers against the logits our own run is given."""
    how = {"temperature": 0.8, "top_k": 30, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.4}
    theirs, tokens, x = processors(**how), random_tokens(5, 40), logits()
    seen = torch.zeros(5, VOCAB, dtype=torch.bool).scatter_(1, tokens, True)
    settings = _core.Sampling(**how)
    penalized = _core.penalized(x, seen, torch.zeros_like(x), settings)
    assert torch.equal(_core.filtered(penalized, settings), theirs(tokens, x))


def test_repetition_in_a_greedy_text_is_that_of_transformers(tiny):
    from transformers import AutoModelForCausalLM

    from lenswright.verifying.lifted import lifted

    folder, tokens = tiny("llama", max_position_embeddings=128), random_tokens(3, 7)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    with lifted(), torch.no_grad():
        expected = theirs.generate(tokens, max_new_tokens=40, do_sample=False, eos_token_id=None,
                                   repetition_penalty=1.7, pad_token_id=0)  # fmt: skip
    ours = lw.load(folder, dtype="float64")
    how = {"max_new_tokens": 40, "stop_at_eos": False}
    assert torch.equal(ours.generate(tokens, repetition_penalty=1.7, **how), expected)
    assert not torch.equal(ours.generate(tokens, **how), expected)


def test_frequency_and_presence_penalties_by_hand(tiny):
    model, tokens = lw.load(tiny("gpt2"), dtype="float64"), random_tokens(2, 5)
    how = {"frequency_penalty": 0.8, "presence_penalty": 1.1}
    said = model.generate(tokens, 20, stop_at_eos=False, return_type="tokens", **how)
    for row, expected in zip(tokens.tolist(), said, strict=True):
        new: list[int] = []
        for _ in range(20):
            x = model(torch.tensor([row + new]))[0, -1].clone()
            for token in set(new):
                x[token] -= 0.8 * new.count(token) + 1.1
            new.append(int(x.argmax()))
        assert new == expected
    assert said != model.generate(tokens, 20, stop_at_eos=False, return_type="tokens")


def chi_square(ids: list[int], probability: torch.Tensor) -> tuple[float, float]:
    """(statistic, a bound five standard deviations above its mean); rare cells are one."""
    expected = probability * len(ids)
    counts = torch.bincount(torch.tensor(ids), minlength=len(probability)).double()
    rare = expected < 5
    assert counts[probability == 0].sum() == 0
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected, counts = expected[expected > 0], counts[expected > 0]
    freedom = len(expected) - 1
    statistic = ((counts - expected) ** 2 / expected).sum().item()
    return statistic, freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("how", [{}, {"top_k": 12}, {"top_p": 0.8}, {"min_p": 0.05}], ids=str)
def test_frequencies_of_draws(how):
    left = _core.filtered(logits(1), _core.Sampling(temperature=1.3, **how))
    count, probability = 20_000, left.softmax(-1)[0]
    many = left.expand(count, -1)
    over_seeds = _core.drawn(many, list(range(count)), [7] * count)
    over_positions = _core.drawn(many, [3] * count, list(range(count)))
    for ids in (over_seeds, over_positions):
        statistic, bound = chi_square(ids.tolist(), probability)
        assert statistic < bound
    half = len(over_seeds) // 2
    wrong = (probability * 0.9 + 0.1 / VOCAB) if not how else probability.roll(1)
    assert chi_square(over_seeds[:half].tolist(), wrong + 1e-12)[0] > bound


def test_frequencies_of_generated_tokens(tiny):
    model, count = lw.load(tiny("llama"), dtype="float64"), 4000
    prompt = random_tokens(1, 20)
    x = model(prompt)[:, -1]
    expected = _core.filtered(x, _core.Sampling(temperature=2.0, top_k=40)).softmax(-1)[0]
    said = model.generate(
        prompt.expand(count, -1), 1, temperature=2.0, top_k=40, return_type="tokens"
    )
    statistic, bound = chi_square([row[0] for row in said], expected)
    assert statistic < bound


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_a_row_is_drawn_alike_in_any_batch(tiny, name):
    model = lw.load(tiny(name), dtype="float64")
    rows = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14], [5, 6, 7, 8, 9, 10]]
    how = {"temperature": 5.0, "top_p": 0.95, "stop_at_eos": False, "return_type": "tokens"}
    said = model.generate(rows, 15, seed=[4, 9, 2, 5], **how)
    for row, seed, expected in zip(rows, [4, 9, 2, 5], said, strict=True):
        assert model.generate([row], 15, seed=seed, **how) == [expected]
        assert model.generate([row], 15, seed=[seed], use_cache=False, **how) == [expected]
    assert said[0] != said[3]
    assert (
        model.generate(rows[::-1], 15, seed=[5, 2, 9, 4], padding_side="left", **how)
        == (said[::-1])
    )
    following = model.generate([rows[0]] * 3, 15, seed=4, **how)
    assert following[0] == said[0]
    assert following[1] == said[3]  # the second row has the next seed
    assert model.generate(rows, 15, **how) == model.generate(rows, 15, seed=0, **how)


def test_what_leaves_one_token_is_greedy(tiny):
    model, tokens = lw.load(tiny("llama"), dtype="float64"), random_tokens(3, 5)
    plain = model.generate(tokens, 10, stop_at_eos=False)
    for how in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"temperature": 1e-6}):
        drawn = model.generate(tokens, 10, stop_at_eos=False, **({"temperature": 1.0} | how))
        assert torch.equal(drawn, plain), how
