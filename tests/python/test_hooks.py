"""Python callables on points: order, scope, what they may return, and what writing does."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.reference import Reference
from lenswright.verify import relative_error
from plain import Plain
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2"]
NAME_ERRORS = (KeyError, IndexError, ValueError)


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
    model, tokens = lw.load(tiny(name)), random_tokens(2, 7)
    _, untouched = model.run_with_cache(tokens)
    weights = {n: w.clone() for n, w in model.parameters().items()}
    for point in model.points():
        kept = {}

        def keep(tensor, hook, kept=kept):
            kept["seen"] = tensor

        def spoil(tensor, hook):
            tensor += 1

        with model.hooks(fwd_hooks=[(point, spoil)]):
            _, cache = model.run_with_cache(tokens)
        earlier = list(model.points()).index(point)
        for before in list(model.points())[:earlier]:
            assert same(cache[before], untouched[before]), (before, point)
    for n, w in model.parameters().items():
        assert same(w, weights[n]), n
    assert same(model(tokens), model(tokens))


def test_capture_sees_what_the_hook_before_it_made(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)
    point = "blocks.1.hook_resid_post"
    with model.hooks(fwd_hooks=[(point, lambda tensor, hook: tensor * 0 + 2)]):
        _, cache = model.run_with_cache(tokens, names_filter=[point, "blocks.2.hook_resid_pre"])
    assert (cache[point] == 2).all()
    assert (cache["blocks.2.hook_resid_pre"] == 2).all()


def test_hooks_on_one_point_run_in_the_order_given(tiny):
    model, tokens, seen = lw.load(tiny("llama")), random_tokens(1, 5), []
    point = "blocks.1.hook_resid_pre"

    def mark(label):
        def fn(tensor, hook):
            seen.append((label, tensor.flatten()[0].item()))
            return tensor * 0 + label

        return fn

    with model.hooks(fwd_hooks=[(point, mark(1)), (point, mark(2))]):
        model.run_with_hooks(tokens, fwd_hooks=[(point, mark(3))])
    assert [label for label, _ in seen] == [1, 2, 3]
    assert [value for _, value in seen[1:]] == [1, 2]


def test_contexts_nest_and_leave_nothing_behind(tiny):
    model, tokens, seen = lw.load(tiny("llama")), random_tokens(1, 5), []

    def log(label):
        return [("blocks.0.hook_resid_pre", lambda tensor, hook: seen.append(label))]

    with model.hooks(fwd_hooks=log("outer")):
        with model.hooks(fwd_hooks=log("inner")):
            model(tokens)
        model(tokens)
        with pytest.raises(ZeroDivisionError), model.hooks(fwd_hooks=log("broken")):
            raise ZeroDivisionError
        model(tokens)
    model(tokens)
    assert seen == ["outer", "inner", "outer", "outer"]


def test_a_hook_that_raises_stops_the_run_and_leaves_nothing_behind(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)
    plain = model(tokens)

    def fail(tensor, hook):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        model.run_with_hooks(tokens, fwd_hooks=[("blocks.1.hook_resid_mid", fail)])
    assert same(model(tokens), plain)


def test_the_hook_is_told_where_it_is(tiny):
    model, seen = lw.load(tiny("llama")), []

    def fn(tensor, hook):
        seen.append((hook.name, hook.layer()))

    model.run_with_hooks(random_tokens(1, 5), fwd_hooks=[("blocks.2.attn.hook_q", fn)])
    assert seen == [("blocks.2.attn.hook_q", 2)]

    def keyword_only(tensor, *, hook):
        seen.append(hook.name)

    def other_name(tensor, point):
        seen.append(point.name)

    for each in (keyword_only, other_name):
        model.run_with_hooks(random_tokens(1, 5), fwd_hooks=[("ln_final.hook_scale", each)])
    assert seen[1:] == ["ln_final.hook_scale", "ln_final.hook_scale"]


def test_names_globs_and_predicates(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)

    def seen(what):
        names = []
        log = (what, lambda tensor, hook: names.append(hook.name))
        model.run_with_hooks(tokens, fwd_hooks=[log])
        return names

    three = [f"blocks.{i}.attn.hook_z" for i in range(3)]
    assert seen("blocks.*.attn.hook_z") == three
    assert seen("blocks.{1..2}.attn.hook_z") == three[1:]
    assert seen(lambda name: name.endswith("hook_z")) == three
    assert seen("blocks.[02].attn.hook_z") == [three[0], three[2]]
    for filter_ in ("*.hook_z", lambda name: name.endswith("hook_z"), three):
        assert list(model.run_with_cache(tokens, names_filter=filter_)[1]) == three


def test_what_matches_nothing_is_an_error(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)

    def nothing(tensor, hook):
        return None

    for what in ("blocks.*.attn.hook_y", lambda name: False, "blocks.7.hook_resid_pre"):
        with pytest.raises(NAME_ERRORS):
            model.run_with_hooks(tokens, fwd_hooks=[(what, nothing)])
        with pytest.raises(NAME_ERRORS):
            model.run_with_cache(tokens, names_filter=what)
        with pytest.raises(NAME_ERRORS), model.hooks(fwd_hooks=[(what, nothing)]):
            model(tokens)


@pytest.mark.parametrize(("wrong", "near"), [
    ("blocks.1.hook_resid_psot", "blocks.1.hook_resid_post"),
    ("blocks.1.atn.hook_z", "blocks.1.attn.hook_z"),
    ("hook_embedd", "hook_embed"), ("ln_final.hook_normalised", "ln_final.hook_normalized"),
])  # fmt: skip
def test_misspelt_names_get_the_nearest(tiny, wrong, near):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)
    with pytest.raises(NAME_ERRORS, match=near):
        model.run_with_hooks(tokens, fwd_hooks=[(wrong, lambda tensor, hook: None)])
    with pytest.raises(NAME_ERRORS, match=near):
        model.run_with_hooks(tokens, bwd_hooks=[(wrong, lambda tensor, hook: None)])


def test_a_wrong_return_names_the_hook_and_both_shapes(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(2, 5)
    point = "blocks.1.hook_resid_pre"
    with pytest.raises(ValueError, match=r"blocks\.1\.hook_resid_pre") as caught:
        model.run_with_hooks(tokens, fwd_hooks=[(point, lambda tensor, hook: tensor[:, :3])])
    assert "2, 3, 30" in str(caught.value)
    assert "2, 5, 30" in str(caught.value)
    with pytest.raises((TypeError, ValueError), match=r"blocks\.1\.hook_resid_pre"):
        model.run_with_hooks(tokens, fwd_hooks=[(point, lambda tensor, hook: "text")])
    with pytest.raises((TypeError, ValueError), match=r"blocks\.1\.hook_resid_pre"):
        model.run_with_hooks(tokens, fwd_hooks=[(point, lambda tensor, hook: tensor.double())])


def test_misspelt_arguments_are_errors(tiny):
    model, tokens = lw.load(tiny("llama")), random_tokens(1, 5)
    calls = [
        lambda: model(tokens, retrun_type="loss"),
        lambda: model.run_with_cache(tokens, name_filter="hook_embed"),
        lambda: model.run_with_hooks(tokens, forward_hooks=[]),
        lambda: model.hooks(fwd_hook=[]),
        lambda: model.generate(tokens, max_tokens=3),
        lambda: lw.load(tiny("llama"), dytpe="float64"),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    for call in (
        lambda: model(tokens, return_type="logit"),
        lambda: model(tokens, padding_side="up"),
        lambda: lw.load(tiny("llama"), dtype="float65"),
    ):
        with pytest.raises(ValueError, match=r"logit|up|float65"):
            call()


@pytest.mark.parametrize("name", BOTH)
def test_hooks_extend_a_capture_but_not_a_stopped_run(tiny, name):
    """A capture goes as deep as its hooks; what lies behind stop_at_layer would never fire."""
    model, tokens, seen = lw.load(tiny(name)), random_tokens(1, 5), []
    pre = [f"blocks.{i}.hook_resid_pre" for i in range(3)]
    log = [("*.hook_resid_pre", lambda tensor, hook: seen.append(hook.name))]
    with model.hooks(fwd_hooks=log):
        model.capture(tokens, pre[:1])
        assert seen == pre
        with pytest.raises(ValueError, match=r"blocks\.2\.hook_resid_pre.*stop_at_layer"):
            model.run_with_cache(tokens, names_filter=pre[0], stop_at_layer=2)
    with model.hooks(fwd_hooks=[(pre[1], log[0][1])]):
        model.run_with_cache(tokens, names_filter=pre[0], stop_at_layer=2)
    assert seen == [*pre, pre[1]]
