"""Python callables on points: names, order, scope, and what they may return."""

from __future__ import annotations

import pytest

import lenswright as lw
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2"]
NAME_ERRORS = (KeyError, IndexError, ValueError)


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
