"""Greedy generation: transformers' tokens, cached against uncached, ragged batches, hooks."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.verifying.verify import relative_error
from support import random_tokens

BEGINNING = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high."
)
ENDING = "Don't worry, Lily. We can help you."
BOTH = ["llama-grouped", "gpt2"]


def greedy(folder, tokens, count, **how):
    """What transformers' own generate says, in float64 throughout."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from lenswright.verifying.lifted import lifted

    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "reorder_and_upcast_attn"):
        config.reorder_and_upcast_attn = False  # the same arithmetic, without a cast to float32
    model = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float64, attn_implementation="eager"
    ).eval()
    settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0} | how
    with lifted(), torch.no_grad():
        return model.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=count, **settings
        )


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


LONGER = {"llama": {"max_position_embeddings": 160}, "gpt2": {"n_positions": 160}}


@pytest.mark.parametrize("name", [*BOTH, "llama-wide-heads", "gpt2-flags"])
def test_128_greedy_tokens_are_those_of_transformers(tiny, name):
    folder, tokens = tiny(name, **LONGER[name.partition("-")[0]]), random_tokens(3, 5)
    model = lw.load(folder, dtype="float64")
    expected = greedy(folder, tokens, 128)
    assert torch.equal(model.generate(tokens, max_new_tokens=128, stop_at_eos=False), expected)
    said = model.generate(tokens, max_new_tokens=20, stop_at_eos=False, use_cache=False)
    assert torch.equal(said, expected[:, :25])
    # to the end of each row, as it ends by itself
    end = expected[1, 40].item()
    rows = model.generate(tokens, max_new_tokens=128, stop=end, return_type="tokens")
    for row, whole in zip(rows, expected[:, 5:].tolist(), strict=True):
        assert row == whole[: whole.index(end) + 1 if end in whole else 128]


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("stories260K-hf", [[1]]),
        ("stories260K-hf", [[1, 403, 407], [1, 261, 378]]),
        ("TinyStories-656K", [[1, 80, 147, 201, 282, 57]]),
        ("TinyStories-656K", [[1, 80, 147], [1, 57, 33]]),
    ],
)
def test_128_greedy_tokens_of_trained_models(data, name, prompt):
    tokens = torch.tensor(prompt)
    said = lw.load(data / name, dtype="float64").generate(tokens, 128, stop_at_eos=False)
    assert torch.equal(said, greedy(data / name, tokens, 128))


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
    whole = model.generate(random_tokens(1, 60), max_new_tokens=5, stop_at_eos=False)
    assert whole.shape == (1, 65)  # the last one is never read
    line = "max_new_tokens is 6, expected at most 5 after a prompt of 60 tokens .*n_ctx 64"
    with pytest.raises(ValueError, match=line):
        model.generate(random_tokens(1, 60), max_new_tokens=6)
    with pytest.raises(ValueError, match="prompt is 65 tokens, expected at most n_ctx 64"):
        model.generate(random_tokens(1, 65))


def test_beyond_the_length_a_model_was_made_for(tiny):
    model = lw.load(tiny("llama"))
    with pytest.warns(UserWarning, match=r"64 tokens \(n_ctx\)"):
        model.generate(random_tokens(1, 60), max_new_tokens=6, stop_at_eos=False)


def test_each_phase_has_its_hooks(tiny):
    """On the prompt, on what is said, on both: against one forward with hooks cut to positions."""
    model, tokens = lw.load(tiny("llama"), dtype="float64"), random_tokens(2, 5)
    point, direction = "blocks.1.hook_resid_pre", torch.linspace(-9, 9, 30, dtype=torch.float64)
    seen: list[int] = []

    def steer(tensor, hook):
        seen.append(tensor.shape[1])
        return tensor + direction

    how = {"max_new_tokens": 6, "stop_at_eos": False, "return_logits": True}
    places = {"both": slice(None), "prefill": slice(0, 5), "decode": slice(5, None)}
    widths = {"both": [5, 1, 1, 1, 1, 1], "prefill": [5], "decode": [1, 1, 1, 1, 1]}
    for phase, place in places.items():
        seen.clear()
        made = model.generate(tokens, fwd_hooks=[(point, steer)], hooks_on=phase, **how)
        assert seen == widths[phase]

        def partly(tensor, hook, place=place):
            tensor = tensor.clone()
            tensor[:, place] += direction
            return tensor

        whole = torch.cat([tokens, torch.tensor(made.tokens)], 1)[:, :-1]
        logits = model.run_with_hooks(whole, fwd_hooks=[(point, partly)])[:, 4:]
        assert relative_error(made.logits, logits) < 1e-12
    with pytest.raises(ValueError, match="hooks_on is 'decode', but there are no fwd_hooks"):
        model.generate(tokens, hooks_on="decode")
    with pytest.raises(ValueError, match="needs use_cache=True"):
        model.generate(tokens, fwd_hooks=[(point, steer)], hooks_on="prefill", use_cache=False)
    with pytest.raises(ValueError, match="hooks_on is 'decode', which begins with the second"):
        model.generate(tokens, 1, fwd_hooks=[(point, steer)], hooks_on="decode")


@pytest.mark.parametrize("wrong", [
    {"max_new_tokens": 0}, {"max_new_tokens": -1}, {"return_type": "words"}, {"temperature": -1.0},
    {"padding_side": "top"},
], ids=str)  # fmt: skip
def test_arguments_are_checked(tiny, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        lw.load(tiny("llama")).generate(random_tokens(1, 3), **wrong)


def test_generation_is_repeatable(tiny):
    model = lw.load(tiny("llama-grouped"))
    a, b = (model.generate(random_tokens(4, 5), 40, return_type="tokens") for _ in "ab")
    assert a == b
