"""Greedy generation: known texts, cached against uncached, ragged batches, hooks."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from support import random_tokens

BEGINNING = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high."
)
ENDING = "Don't worry, Lily. We can help you."
BOTH = ["llama-grouped", "gpt2"]


def greedy(folder, tokens, count):
    """What transformers says, one float64 forward per token."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        for _ in range(count):
            following = model(tokens, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, following], dim=1)
    return tokens


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_known_text_of_stories260k(data, dtype):
    model = lw.load(data / "stories260K-hf", dtype=dtype)
    said = {
        cached: model.generate(
            torch.tensor([[1]]), max_new_tokens=256, stop_at_eos=False, use_cache=cached
        )
        for cached in (True, False)
    }
    assert torch.equal(said[True], said[False])
    assert said[True].shape == (1, 257)
    text = model.to_string(said[True][0, 1:]).strip()
    assert text.startswith(BEGINNING)
    assert text.endswith(ENDING)


def test_loss_of_stories260k_on_its_own_text(data):
    from transformers import AutoModelForCausalLM

    folder = data / "stories260K-hf"
    model = lw.load(folder, dtype="float64")
    said = model.generate(torch.tensor([[1]]), max_new_tokens=255, stop_at_eos=False)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        loss = theirs(said, labels=said).loss.item()
    assert abs(model(said, return_type="loss").item() - loss) < 1e-6
    assert loss < 0.5


def test_tinystories(data):
    folder = data / "TinyStories-656K"
    model = lw.load(folder, dtype="float32")
    tokens = model.to_tokens("Once upon a time")
    assert tokens.tolist() == [[1, 80, 147, 201, 282, 57]]
    said = model.generate(tokens, max_new_tokens=60)
    assert torch.equal(said, model.generate(tokens, max_new_tokens=60, use_cache=False))
    assert torch.equal(said, greedy(folder, tokens, 60)[:, : said.shape[1]])
    assert model.generate(tokens, max_new_tokens=60, return_type="tokens") == said[:, 6:].tolist()
    text = model.generate("Once upon a time", max_new_tokens=60)
    assert text.startswith("Once upon a time")
    assert len(text) > 100
    assert text.endswith(model.generate("Once upon a time", max_new_tokens=60, return_type="text"))


@pytest.mark.parametrize("name", BOTH)
def test_greedy_tokens_are_those_of_transformers(tiny, name):
    tokens = random_tokens(3, 5)
    model = lw.load(tiny(name), dtype="float64")
    for cached in (True, False):
        said = model.generate(tokens, max_new_tokens=20, stop_at_eos=False, use_cache=cached)
        assert torch.equal(said, greedy(tiny(name), tokens, 20))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", BOTH)
def test_rows_of_a_ragged_batch_say_what_they_say_alone(tiny, name, side, dtype):
    model = lw.load(tiny(name), dtype=dtype)
    rows = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14]]
    how = {"max_new_tokens": 12, "stop_at_eos": False, "return_type": "tokens"}
    alone = [model.generate([row], **how)[0] for row in rows]
    for cached in (True, False):
        together = model.generate(rows, padding_side=side, use_cache=cached, **how)
        assert together == alone
    whole = model.generate(rows, max_new_tokens=12, stop_at_eos=False, padding_side=side)
    assert whole == [row + more for row, more in zip(rows, alone, strict=True)]


def test_a_row_ends_with_the_end_token(tiny):
    endless, tokens = lw.load(tiny("llama")), random_tokens(3, 5)
    how = {"max_new_tokens": 20, "return_type": "tokens"}
    said = endless.generate(tokens, stop_at_eos=False, **how)
    end = said[1][7]
    model = lw.load(tiny("llama", eos_token_id=end))
    short = [row[: row.index(end) + 1] if end in row else row for row in said]
    assert len(short[1]) <= 8
    for cached in (True, False):
        assert model.generate(tokens, use_cache=cached, **how) == short


def test_hooks_act_on_every_step(tiny):
    model, tokens, widths = lw.load(tiny("llama")), random_tokens(1, 5), []
    point = "blocks.1.hook_resid_post"
    how = {"max_new_tokens": 6, "stop_at_eos": False}
    plain = model.generate(tokens, **how)
    direction = torch.randn(30, generator=torch.Generator().manual_seed(0)) * 20

    def steer(tensor, hook):
        widths.append(tensor.shape[1])
        return tensor + direction

    with model.hooks(fwd_hooks=[(point, steer)]):
        steered = model.generate(tokens, **how)
        cached_widths = list(widths)
        again = model.generate(tokens, use_cache=False, **how)
    assert cached_widths == [5, 1, 1, 1, 1, 1]
    assert torch.equal(steered, again)
    assert not torch.equal(steered, plain)


def test_the_context_is_not_exceeded(tiny):
    model = lw.load(tiny("gpt2"))
    whole = model.generate(random_tokens(1, 60), max_new_tokens=4, stop_at_eos=False)
    assert whole.shape == (1, 64)
    with pytest.raises((ValueError, IndexError), match=r"64"):
        model.generate(random_tokens(1, 60), max_new_tokens=6, stop_at_eos=False)


@pytest.mark.parametrize("wrong", [
    {"max_new_tokens": 0}, {"max_new_tokens": -1}, {"return_type": "words"}, {"temperature": -1.0},
    {"padding_side": "top"},
], ids=str)  # fmt: skip
def test_arguments_are_checked(tiny, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        lw.load(tiny("llama")).generate(random_tokens(1, 3), **wrong)


def test_generation_is_repeatable(tiny):
    model = lw.load(tiny("llama-grouped"))
    a, b = (model.generate(random_tokens(4, 5), return_type="tokens") for _ in "ab")
    assert a == b
