"""What watching leaves alone, and what writing at every point does."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from plain import Plain
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2"]


def every_name(folder):
    return Reference(folder).names()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*BOTH, "llama-wide-heads", "gpt2-flags"])
def test_identity_on_every_name_changes_nothing(tiny, name, dtype):
    """Not one bit, whether the hook returns nothing or the tensor that it was given."""
    model, tokens = lw.load(tiny(name), dtype=dtype), random_tokens(3, 9)
    plain = model(tokens)
    for point in model.points():
        for fn in (lambda tensor, hook: None, lambda tensor, hook: tensor):
            assert same(model.run_with_hooks(tokens, fwd_hooks=[(point, fn)]), plain), point


@pytest.mark.parametrize("name", BOTH)
def test_identity_on_expanded_names_changes_rounding_only(tiny, name):
    for dtype, limit in (("float64", 1e-13), ("float32", 1e-5)):
        model, tokens = lw.load(tiny(name), dtype=dtype), random_tokens(3, 9)
        plain = model(tokens)
        for point in set(every_name(tiny(name))) - set(model.points()):
            if name == "llama-grouped" and point.endswith("hook_attn_in"):
                continue  # cannot be written where keys are grouped
            for fn in (lambda tensor, hook: None, lambda tensor, hook: tensor):
                ours = model.run_with_hooks(tokens, fwd_hooks=[(point, fn)])
                assert relative_error(ours, plain) <= limit, point


@pytest.mark.parametrize("name", BOTH)
def test_watching_changes_no_number(tiny, name):
    model, tokens = lw.load(tiny(name), dtype="float32"), random_tokens(3, 40)
    plain = model(tokens)
    logits, everything = model.run_with_cache(tokens)
    assert same(logits, plain)
    for point in model.points():
        logits, cache = model.run_with_cache(tokens, names_filter=point)
        assert same(logits, plain), point
        assert same(cache[point], everything[point]), point
        assert same(model.capture(tokens, [point])[point], everything[point]), point
    for point in set(every_name(tiny(name))) - set(model.points()):
        assert same(model.run_with_cache(tokens, names_filter=point)[0], plain), point


@pytest.mark.parametrize("name", [*BOTH, "gpt2-flags", "llama"])
def test_writing_at_every_point_does_what_the_formulas_say(tiny, name):
    folder, tokens = tiny(name), random_tokens(2, 7)
    model, plain = lw.load(folder, dtype="float64"), Plain(folder)
    unhooked = model(tokens)
    for point, value in plain.forward(tokens).items():
        if point == "hook_tokens" or point.endswith("hook_attn_in"):
            continue
        noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(3)).double()

        def write(tensor, noise=noise):
            return 1.1 * tensor + 0.1 * noise.abs()

        ours = model.run_with_hooks(
            tokens, fwd_hooks=[(point, lambda tensor, hook, write=write: write(tensor))]
        )
        theirs = plain.forward(tokens, {point: write})["unembed.hook_out"]
        assert relative_error(ours, theirs) <= 1e-10, point
        assert relative_error(ours, unhooked) > 1e-6, point


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_one_copy_for_all_three_inputs(tiny, name):
    """hook_attn_in feeds queries, keys and values alike."""
    model, tokens = lw.load(tiny(name), dtype="float64"), random_tokens(2, 7)

    def scale(tensor, hook):
        return tensor * torch.linspace(0.5, 1.5, tensor.shape[-1]).double()

    p = "blocks.1.hook_"
    one = model.run_with_hooks(tokens, fwd_hooks=[(p + "attn_in", scale)])
    three = model.run_with_hooks(
        tokens, fwd_hooks=[(f"{p}{which}_input", scale) for which in "qkv"]
    )
    assert relative_error(one, three) <= 1e-12
    assert relative_error(one, model(tokens)) > 1e-6


def test_one_copy_for_all_is_refused_where_keys_are_grouped(tiny):
    model, point = lw.load(tiny("llama-grouped")), "blocks.1.hook_attn_in"
    with pytest.raises(ValueError, match=rf"{point}.*hook_k_input"):
        model.run_with_hooks(
            random_tokens(2, 7), fwd_hooks=[(point, lambda tensor, hook: 2 * tensor)]
        )


def test_replacing_tokens(tiny):
    model, tokens = lw.load(tiny("gpt2")), random_tokens(2, 7)
    others = (tokens + 1) % 97
    hooked = model.run_with_hooks(tokens, fwd_hooks=[("hook_tokens", lambda tensor, hook: others)])
    assert same(hooked, model(others))


def test_editing_in_place_counts_as_writing(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(2, 7)
    point = "blocks.1.attn.hook_z"

    def in_place(tensor, hook):
        tensor[:, :, 1] = 0

    def fresh(tensor, hook):
        tensor = tensor.clone()
        tensor[:, :, 1] = 0
        return tensor

    a, b = (model.run_with_hooks(tokens, fwd_hooks=[(point, fn)]) for fn in (in_place, fresh))
    assert same(a, b)
    assert not same(a, model(tokens))


@pytest.mark.parametrize("name", BOTH)
def test_captured_tensors_never_change_afterwards(tiny, name):
    """Nor do weights or the caller's tokens, wherever a hook writes in place."""
    model, tokens = lw.load(tiny(name)), random_tokens(2, 7)
    _, untouched = model.run_with_cache(tokens)
    weights = {n: w.clone() for n, w in model.parameters().items()}
    given, plain, order = tokens.clone(), model(tokens), list(model.points())

    def spoil(tensor, hook):
        tensor += 1

    for point in model.points(expanded=True):
        if name == "llama-grouped" and point.endswith("hook_attn_in"):
            continue  # cannot be written where keys are grouped
        with model.hooks(fwd_hooks=[(point, spoil)]):
            _, cache = model.run_with_cache(tokens)
            assert not same(model(tokens), plain), point
        for before in order[: order.index(point)] if point in order else []:
            assert same(cache[before], untouched[before]), (before, point)
    for n, w in model.parameters().items():
        assert same(w, weights[n]), n
    assert same(tokens, given)
    assert same(model(tokens), plain)


def test_capture_sees_what_the_hook_before_it_made(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)
    point = "blocks.1.hook_resid_post"
    with model.hooks(fwd_hooks=[(point, lambda tensor, hook: tensor * 0 + 2)]):
        _, cache = model.run_with_cache(tokens, names_filter=[point, "blocks.2.hook_resid_pre"])
    assert (cache[point] == 2).all()
    assert (cache["blocks.2.hook_resid_pre"] == 2).all()
