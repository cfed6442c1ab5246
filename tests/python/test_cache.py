"""`run_with_cache`, `capture`, and what a cache holds."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.verifying.verify import relative_error
from support import next_token_loss, random_tokens, same

BOTH = ["llama-grouped", "gpt2"]
NAME_ERRORS = (KeyError, IndexError, ValueError)


@pytest.fixture(params=BOTH)
def run(tiny, request):
    model, tokens = lw.load(tiny(request.param), dtype="float64"), random_tokens(2, 7)
    logits, cache = model.run_with_cache(tokens)
    return model, tokens, logits, cache


def test_shorthand(run):
    *_, cache = run
    long = {
        ("resid_post", 2): "blocks.2.hook_resid_post", ("resid_pre", -1): "blocks.2.hook_resid_pre",
        ("q", 1): "blocks.1.attn.hook_q", ("pattern", 0): "blocks.0.attn.hook_pattern",
        ("attn", 0): "blocks.0.attn.hook_pattern", ("key", 1): "blocks.1.attn.hook_k",
        ("attn_scores", 0): "blocks.0.attn.hook_attn_scores", "embed": "hook_embed",
        ("mlp_post", 1): "blocks.1.mlp.hook_post", ("post", 1): "blocks.1.mlp.hook_post",
        ("pre", 1): "blocks.1.mlp.hook_pre", ("scale", 2, "ln1"): "blocks.2.ln1.hook_scale",
        ("normalized", 1, "ln2"): "blocks.1.ln2.hook_normalized", "scale": "ln_final.hook_scale",
        ("attn_out", 1): "blocks.1.hook_attn_out", ("mlp_out", 1): "blocks.1.hook_mlp_out",
        "normalized": "ln_final.hook_normalized",
    }  # fmt: skip
    for short, name in long.items():
        assert cache[short] is cache[name] or same(cache[short], cache[name]), short


def test_it_is_a_mapping(run):
    model, _, _, cache = run
    assert list(cache) == list(cache.keys()) == list(model.points())
    assert len(cache) == len(model.points()) == len(list(cache.values()))
    assert "blocks.0.hook_resid_pre" in cache
    assert "blocks.9.hook_resid_pre" not in cache
    assert dict(cache.items()).keys() == cache.keys()
    for wrong in ("blocks.0.hook_resid_prr", ("resid_post", 3), ("resid_psot", 1)):
        with pytest.raises(NAME_ERRORS):
            cache[wrong]
    with pytest.raises(NAME_ERRORS, match=r"blocks\.0\.hook_resid_pre"):
        cache["blocks.0.hook_resid_prr"]
    assert len(repr(cache)) < 2000


def test_uncaptured_names_say_so(tiny):
    _, cache = lw.load(tiny("llama")).run_with_cache(random_tokens(1, 4), names_filter="hook_embed")
    with pytest.raises(NAME_ERRORS, match="hook_resid_pre"):
        cache["blocks.0.hook_resid_pre"]


def test_capture_equals_run_with_cache(run):
    model, tokens, _, cache = run
    part = model.capture(tokens, ["blocks.1.attn.hook_z", "blocks.0.*"])
    assert all(same(part[name], cache[name]) for name in part)
    assert set(part) == {
        n for n in cache if n.startswith("blocks.0.") or n == "blocks.1.attn.hook_z"
    }


def test_capture_stops_after_the_deepest_point(run):
    """Counted in products of matrices: a layer that is not needed is not computed."""
    model, tokens, _, _ = run

    def products(call):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            call()
        names = ("aten::mm", "aten::bmm", "aten::addmm", "aten::matmul", "aten::linear")
        return sum(event.count for event in profile.key_averages() if event.key in names)

    deep = [f"blocks.{i}.hook_resid_post" for i in range(3)]
    layers = [products(lambda name=name: model.capture(tokens, [name])) for name in deep]
    assert layers[0] > 0
    assert layers[1] == 2 * layers[0]
    assert layers[2] == 3 * layers[0]
    assert products(lambda: model.capture(tokens, ["blocks.1.hook_resid_pre"])) == layers[0]
    assert products(lambda: model.capture(tokens, ["hook_embed"])) == 0
    assert products(lambda: model(tokens)) > layers[2]
    assert products(lambda: model(tokens, return_type=None)) <= layers[2]


def test_a_hook_beyond_the_deepest_captured_point_cannot_fire(tiny):
    """Nothing is silent: a hook that this run would never reach is an error."""
    model = lw.load(tiny("llama"))
    with pytest.raises(NAME_ERRORS, match=r"blocks\.2\.hook_resid_post"):
        model.run_with_hooks(
            random_tokens(1, 4),
            stop_at_layer=1,
            fwd_hooks=[("blocks.2.hook_resid_post", lambda tensor, hook: None)],
        )


@pytest.mark.parametrize("stop", [0, 1, 2, 3, -1, -3])
def test_stop_at_layer_returns_the_residual_before_it(run, stop):
    model, tokens, _, cache = run
    out, part = model.run_with_cache(tokens, stop_at_layer=stop)
    layer = stop % 3 if stop != 3 else 3
    expected = cache["resid_pre", layer] if layer < 3 else cache["resid_post", 2]
    assert same(out, expected)
    assert all(same(part[name], cache[name]) for name in part)
    assert not any(name.startswith((f"blocks.{layer}.", "ln_final", "unembed")) for name in part)
    assert same(model(tokens, stop_at_layer=stop), expected)


@pytest.mark.parametrize("stop", [4, -4, 100])
def test_stop_at_layer_out_of_range(run, stop):
    model, tokens, _, _ = run
    with pytest.raises((IndexError, ValueError), match=rf"stop_at_layer.*{stop}"):
        model.run_with_cache(tokens, stop_at_layer=stop)


def test_asking_for_a_point_beyond_stop_at_layer(run):
    model, tokens, _, _ = run
    with pytest.raises(NAME_ERRORS, match=r"blocks\.2\.hook_resid_post"):
        model.run_with_cache(tokens, names_filter="blocks.2.hook_resid_post", stop_at_layer=1)


@pytest.mark.parametrize("pos", [
    slice(2, 5), -1, 3, [0, 4], (1, 6), (1, 6, 2), slice(None, None, 3)
], ids=str)  # fmt: skip
def test_pos_slice_takes_query_positions(run, pos):
    model, tokens, logits, cache = run
    out, part = model.run_with_cache(tokens, pos_slice=pos)
    assert same(out, logits)
    index = slice(*pos) if isinstance(pos, tuple) else [pos] if isinstance(pos, int) else pos
    for name in part:
        dim = 2 if "attn_scores" in name or "pattern" in name else 1
        assert same(part[name], cache[name].movedim(dim, 0)[index].movedim(0, dim)), name


def test_remove_batch_dim(tiny):
    model = lw.load(tiny("llama"))
    _, cache = model.run_with_cache(random_tokens(1, 6))
    _, flat = model.run_with_cache(random_tokens(1, 6), remove_batch_dim=True)
    assert all(same(flat[name], cache[name][0]) for name in cache)
    with pytest.raises((ValueError, AssertionError), match="remove_batch_dim"):
        model.run_with_cache(random_tokens(2, 6), remove_batch_dim=True)


def test_device(run):
    model, tokens, logits, cache = run
    out, same_place = model.run_with_cache(tokens, device="cpu")
    assert same(out, logits)
    assert all(same(same_place[name], cache[name]) for name in cache)
    assert same_place.to("cpu")["hook_embed"].device.type == "cpu"


def test_return_types(run):
    model, tokens, logits, _ = run
    loss = model(tokens, return_type="loss")
    assert loss.shape == ()
    assert torch.allclose(loss, next_token_loss(logits, tokens), rtol=1e-12)
    per_token = model(tokens, return_type="loss", loss_per_token=True)
    assert per_token.shape == (2, 6)
    assert torch.allclose(per_token.mean(), loss, rtol=1e-12)
    both = model(tokens, return_type="both")
    assert same(both[0], logits)
    assert same(both[1], loss)
    assert model(tokens, return_type=None) is None
    nothing, part = model.run_with_cache(tokens, "blocks.2.hook_resid_post", return_type=None)
    assert nothing is None
    assert len(part) == 1


def test_a_run_may_start_from_a_residual(run):
    model, _, logits, cache = run
    for layer in range(3):
        assert same(model(cache["resid_pre", layer], start_at_layer=layer), logits)
    assert same(model(cache["resid_post", 2], start_at_layer=3), logits)
    between = model(cache["resid_pre", 1], start_at_layer=1, stop_at_layer=2)
    assert same(between, cache["resid_pre", 2])
    with pytest.raises(ValueError, match="start_at_layer"):
        model(cache["resid_pre", 1][..., :3], start_at_layer=1)
    with pytest.raises((IndexError, ValueError), match="start_at_layer"):
        model(cache["resid_pre", 1], start_at_layer=4)


def test_logits_of_the_last_position_only(run):
    model, tokens, logits, _ = run
    assert relative_error(model(tokens, logits_at="last"), logits[:, -1:]) < 1e-13
    ragged = [[5, 6, 7, 8], [9, 10]]
    for side in ("left", "right"):
        last = model(ragged, logits_at="last", padding_side=side)
        alone = torch.cat([model([row])[:, -1:] for row in ragged])
        assert relative_error(last, alone) < 1e-13


def test_stack_activation(run):
    _, _, _, cache = run
    assert same(cache.stack_activation("z"), torch.stack([cache["z", i] for i in range(3)]))


def test_batches_of_a_cache(run):
    _, _, _, cache = run
    part = cache.apply_slice_to_batch_dim(slice(0, 1))
    assert all(same(part[name], cache[name][:1]) for name in cache)
