"""Gradients of weights and activations, against transformers and finite differences."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from conftest import CONFIGS
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from plain import Plain
from support import next_token_loss, random_tokens, worst

LIMIT = 1e-8


def weight_gradients(model, loss):
    weights = {name: w for name, w in model.parameters().items() if w.requires_grad}
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return {name: g for name, g in zip(weights, found, strict=True) if g is not None}


def watched(folder, dtype="float64"):
    """A model whose stored weights ask for gradients."""
    model = lw.load(folder, dtype=dtype)
    for weight in model.parameters().values():
        weight.requires_grad_()
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_weights(tiny, name, record_property):
    folder, tokens = tiny(name), random_tokens(3, 11)
    model = watched(folder)
    ours = weight_gradients(model, next_token_loss(model(tokens), tokens))
    _, theirs = Reference(folder).gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    assert set(ours) == set(theirs)
    error, where = worst(ours, theirs)
    record_property("largest relative error", f"{error:.1e} at {where}")
    # The stored type is float32, and so is the gradient of a stored tensor.
    limit = LIMIT if next(iter(ours.values())).dtype == torch.float64 else 1e-6
    assert error <= limit, where


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_weights_stored_in_float64(tiny, name, tmp_path):
    from safetensors.torch import load_file, save_file

    weights = load_file(tiny(name) / "model.safetensors")
    wide = {n: w.double() for n, w in weights.items()}
    save_file(wide, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes((tiny(name) / "config.json").read_bytes())
    tokens = random_tokens(3, 11)
    model = watched(tmp_path)
    ours = weight_gradients(model, next_token_loss(model(tokens), tokens))
    loss = lambda logits: next_token_loss(logits, tokens)  # noqa: E731
    error, where = worst(ours, Reference(tmp_path).gradients(tokens, loss)[1])
    assert error <= LIMIT, where


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_weights_in_float32(tiny, name):
    folder, tokens = tiny(name), random_tokens(3, 11)
    model = watched(folder, "float32")
    ours = weight_gradients(model, next_token_loss(model(tokens), tokens))
    _, theirs = Reference(folder).gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    error, where = worst(ours, theirs)
    assert error <= 1e-4, where


@pytest.mark.parametrize("name", CONFIGS)
def test_activations(tiny, name, record_property):
    """`incl_bwd` stores the gradient of the loss at every point, as name + "_grad"."""
    folder, tokens = tiny(name), random_tokens(2, 9)
    model = lw.load(folder, dtype="float64")
    _, cache = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    points = Plain(folder).forward(tokens)
    names = [n for n in model.points() if n != "hook_tokens"]
    loss = next_token_loss(points["unembed.hook_out"], tokens)
    found = torch.autograd.grad(loss, [points[n] for n in names])
    theirs = {f"{n}_grad": g for n, g in zip(names, found, strict=True)}
    error, where = worst(cache, theirs)
    record_property("largest relative error", f"{error:.1e} at {where}")
    assert error <= LIMIT, where
    in_transformers, _ = Reference(folder).gradients(
        tokens, lambda logits: next_token_loss(logits, tokens)
    )
    error, where = worst(cache, {f"{n}_grad": g for n, g in in_transformers.items()})
    assert error <= LIMIT, where


@pytest.mark.parametrize("name", ["llama-grouped", "llama", "gpt2"])
def test_activations_that_exist_only_when_named(tiny, name):
    """The gradient of a copy is that of its own path: of one head's query, say."""
    folder, tokens = tiny(name), random_tokens(2, 7)
    model = lw.load(folder, dtype="float64")
    sites = ["hook_q_input", "hook_k_input", "hook_v_input", "hook_mlp_in", "attn.hook_result"]
    names = [f"blocks.1.{site}" for site in sites]
    points = Plain(folder).forward(tokens, dict.fromkeys(names, lambda tensor: tensor))
    loss = next_token_loss(points["unembed.hook_out"], tokens)
    found = torch.autograd.grad(loss, [points[n] for n in names])
    for n, gradient in zip(names, found, strict=True):
        _, cache = model.run_with_cache(tokens, n, incl_bwd=True, return_type="loss")
        assert relative_error(cache[n + "_grad"], gradient) <= LIMIT, n


def test_activations_of_a_ragged_batch(tiny):
    model, rows = lw.load(tiny("gpt2"), dtype="float64"), [[5, 6, 7, 8, 9], [11, 12, 13]]
    point = "blocks.1.hook_resid_post"
    for side in ("left", "right"):
        _, both = model.run_with_cache(
            rows, point, incl_bwd=True, return_type="loss", padding_side=side
        )
        for i, (row, share) in enumerate(zip(rows, (4 / 6, 2 / 6), strict=True)):
            _, one = model.run_with_cache([row], point, incl_bwd=True, return_type="loss")
            where = slice(5 - len(row), 5) if side == "left" else slice(0, len(row))
            ours = both[f"{point}_grad"][i, where]
            assert relative_error(ours, share * one[f"{point}_grad"][0]) <= LIMIT


def test_captured_tensors_stay_in_the_graph(tiny):
    """Where weights ask for gradients, a captured activation can be differentiated against."""
    model, tokens = watched(tiny("llama")), random_tokens(2, 7)
    point = "blocks.1.hook_resid_post"
    loss, cache = model.run_with_cache(tokens, point, return_type="loss")
    (ours,) = torch.autograd.grad(loss, cache[point])
    _, with_gradients = model.run_with_cache(tokens, point, incl_bwd=True, return_type="loss")
    assert relative_error(ours, with_gradients[f"{point}_grad"]) <= LIMIT


def test_backward_hooks_fire_without_weights_that_ask_for_gradients(tiny):
    model, tokens, seen = lw.load(tiny("gpt2"), dtype="float64"), random_tokens(2, 7), {}
    names = ["hook_pos_embed", "hook_embed", "blocks.2.attn.hook_pattern", "unembed.hook_out"]

    def keep(grad, hook):
        seen[hook.name] = grad.clone()

    with model.hooks(bwd_hooks=[(n, keep) for n in names]):
        model(tokens, return_type="loss").backward()
    _, cache = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    assert set(seen) == set(names)
    assert all(relative_error(seen[n], cache[f"{n}_grad"]) <= LIMIT for n in names)


def test_activations_without_a_scalar_are_refused(tiny):
    with pytest.raises(ValueError, match="incl_bwd"):
        lw.load(tiny("llama")).run_with_cache(random_tokens(1, 4), incl_bwd=True)


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_finite_differences(tiny, name):
    model, tokens = lw.load(tiny(name), dtype="float64"), random_tokens(1, 6)
    point = "blocks.1.hook_resid_pre"
    _, cache = model.run_with_cache(tokens, point, incl_bwd=True, return_type="loss")
    for index in [(0, 0, 3), (0, 3, 17), (0, 5, 29)]:
        found = []
        for step in (1e-5, -1e-5):

            def nudge(tensor, hook, index=index, step=step):
                tensor = tensor.clone()
                tensor[index] += step
                return tensor

            found.append(
                model.run_with_hooks(tokens, return_type="loss", fwd_hooks=[(point, nudge)])
            )
        slope = (found[0] - found[1]) / 2e-5
        assert abs(slope - cache[point + "_grad"][index]) < 1e-8


def test_backward_hooks_see_and_replace_gradients(tiny):
    model, tokens = watched(tiny("llama")), random_tokens(2, 7)
    seen = {}

    def double(grad, hook):
        seen[hook.name] = grad.clone()
        return 2 * grad

    with model.hooks(bwd_hooks=[("blocks.1.hook_resid_pre", double)]):
        doubled = weight_gradients(model, next_token_loss(model(tokens), tokens))
    plain = weight_gradients(model, next_token_loss(model(tokens), tokens))
    _, cache = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    assert relative_error(
        seen["blocks.1.hook_resid_pre"], cache["blocks.1.hook_resid_pre_grad"]
    ) < 1e-12  # fmt: skip
    for name, gradient in plain.items():
        below = "embed_tokens" in name or ".layers.0." in name
        assert relative_error(doubled[name], (2 if below else 1) * gradient) < 1e-6, name


def test_gradients_flow_through_what_a_hook_returns(tiny):
    model, tokens = lw.load(tiny("gpt2"), dtype="float64"), random_tokens(1, 7)
    nudge = torch.zeros(30, dtype=torch.float64, requires_grad=True)
    loss = model.run_with_hooks(
        tokens,
        return_type="loss",
        fwd_hooks=[("blocks.0.hook_resid_post", lambda tensor, hook: tensor + nudge)],
    )
    (ours,) = torch.autograd.grad(loss, nudge)
    points = Plain(tiny("gpt2")).forward(
        tokens, {"blocks.0.hook_resid_post": lambda tensor: tensor + nudge}
    )
    (theirs,) = torch.autograd.grad(next_token_loss(points["unembed.hook_out"], tokens), nudge)
    assert relative_error(ours, theirs) <= LIMIT


def test_without_anything_to_differentiate_no_graph_is_built(tiny):
    logits = lw.load(tiny("llama"))(random_tokens(1, 4))
    assert not logits.requires_grad
    model = watched(tiny("llama"))
    assert model(random_tokens(1, 4)).requires_grad
    with torch.no_grad():
        assert not model(random_tokens(1, 4)).requires_grad


def test_gradients_of_a_ragged_batch_ignore_the_padding(tiny):
    model = watched(tiny("llama"))
    rows = [[5, 6, 7, 8, 9], [11, 12, 13]]
    together = weight_gradients(model, model(rows, return_type="loss"))
    losses = [model([row], return_type="loss") for row in rows]
    alone = weight_gradients(model, (4 * losses[0] + 2 * losses[1]) / 6)
    error, where = worst(together, alone)
    assert error <= 1e-6, where
