"""Names, shapes and storage of the points."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from conftest import CONFIGS
from lenswright.reference import Reference
from lenswright.reference.points import is_expanded
from support import random_tokens


@pytest.mark.parametrize("name", CONFIGS)
def test_names_are_those_of_the_reference(tiny, name):
    assert set(lw.load(tiny(name)).points()) == {
        point for point in Reference(tiny(name)).names() if not is_expanded(point)
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_are_as_announced(tiny, name):
    model = lw.load(tiny(name))
    sizes = {"batch": 2, "pos": 5, "query": 5, "key": 5}
    announced = {
        point: tuple(sizes[n] if n in sizes else int(n) for n in map(str, shape))
        for point, shape in model.points().items()
    }
    _, cache = model.run_with_cache(random_tokens(2, 5))
    assert {point: tuple(value.shape) for point, value in cache.items()} == announced


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_points_come_in_the_order_of_the_run(tiny, name):
    model = lw.load(tiny(name))
    seen = []
    model.run_with_hooks(
        random_tokens(1, 4), fwd_hooks=[("*", lambda tensor, hook: seen.append(hook.name))]
    )
    assert seen == list(model.points())


def test_expanded_points_exist_only_when_named(tiny):
    model = lw.load(tiny("llama"))
    _, cache = model.run_with_cache(random_tokens(1, 4))
    assert not any(is_expanded(name) for name in cache)
    _, cache = model.run_with_cache(random_tokens(1, 4), names_filter="blocks.1.attn.hook_result")
    assert list(cache) == ["blocks.1.attn.hook_result"]
    assert cache["blocks.1.attn.hook_result"].shape == (1, 4, 3, 30)


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_names_that_share_a_tensor_share_its_storage(tiny, name):
    model = lw.load(tiny(name))
    _, cache = model.run_with_cache(random_tokens(2, 5))
    pairs = [(f"blocks.{i}.hook_resid_post", f"blocks.{i + 1}.hook_resid_pre") for i in range(2)]
    pairs += [(f"blocks.{i}.hook_attn_out", f"blocks.{i}.attn.hook_out") for i in range(3)]
    pairs += [(f"blocks.{i}.hook_mlp_out", f"blocks.{i}.mlp.hook_out") for i in range(3)]
    if name.startswith("llama"):
        pairs.append(("hook_embed", "blocks.0.hook_resid_pre"))
    for a, b in pairs:
        assert cache[a].data_ptr() == cache[b].data_ptr(), (a, b)
    cache = model.capture(random_tokens(2, 5), ["hook_embed", "*.hook_resid_*"])
    assert cache[pairs[0][0]].data_ptr() == cache[pairs[0][1]].data_ptr()


def test_logits_share_the_storage_of_their_point(tiny):
    logits, cache = lw.load(tiny("llama")).run_with_cache(random_tokens(2, 5))
    assert logits.data_ptr() == cache["unembed.hook_out"].data_ptr()


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2-flags"])
def test_identities_between_points(tiny, name):
    model = lw.load(tiny(name), dtype="float64")
    names = list(Reference(tiny(name)).names())
    _, c = model.run_with_cache(random_tokens(2, 9), names_filter=names)
    weights = model.parameters()
    for i in range(model.cfg.n_layers):
        p = f"blocks.{i}"
        pattern, value = c[f"{p}.attn.hook_pattern"], c[f"{p}.attn.hook_v"]
        value = value.repeat_interleave(pattern.shape[1] // value.shape[2], dim=2)
        z = torch.einsum("bhqk,bkhe->bqhe", pattern, value)
        assert torch.allclose(z, c[f"{p}.attn.hook_z"], rtol=0, atol=1e-12)
        assert torch.allclose(pattern.sum(-1), torch.ones(()).double(), rtol=0, atol=1e-12)
        outs = (f".{i}.self_attn.o_proj.bias", f".{i}.attn.c_proj.bias")
        heads = c[f"{p}.attn.hook_result"].sum(2)
        heads += next((w for n, w in weights.items() if n.endswith(outs)), torch.zeros(())).double()
        assert torch.allclose(heads, c[f"{p}.hook_attn_out"], rtol=0, atol=1e-12)
        mid = c[f"{p}.hook_resid_pre"] + c[f"{p}.hook_attn_out"]
        assert torch.equal(mid, c[f"{p}.hook_resid_mid"])
        assert torch.equal(mid + c[f"{p}.hook_mlp_out"], c[f"{p}.hook_resid_post"])


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
def test_no_position_sees_a_later_one(tiny, name):
    model, tokens = lw.load(tiny(name)), random_tokens(1, 8)
    changed = tokens.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 97
    before, after = (model.run_with_cache(t)[1] for t in (tokens, changed))
    for point in before:
        if "attn_scores" in point or "pattern" in point:
            assert torch.equal(before[point][:, :, :5], after[point][:, :, :5]), point
        else:
            assert torch.equal(before[point][:, :5], after[point][:, :5]), point


def test_unknown_point_gets_the_nearest_name(tiny):
    model = lw.load(tiny("llama"))
    for call in (
        lambda: model.run_with_cache(random_tokens(1, 3), names_filter="blocks.1.hook_resid_pst"),
        lambda: model.capture(random_tokens(1, 3), ["blocks.1.hook_resid_pst"]),
        lambda: model.run_with_hooks(
            random_tokens(1, 3), fwd_hooks=[("blocks.1.hook_resid_pst", lambda tensor, hook: None)]
        ),
    ):
        with pytest.raises((KeyError, IndexError, ValueError), match=r"blocks\.1\.hook_resid_post"):
            call()


def test_points_of_other_families_are_unknown(tiny):
    with pytest.raises((KeyError, IndexError, ValueError), match="hook_pos_embed"):
        lw.load(tiny("llama")).capture(random_tokens(1, 3), ["hook_pos_embed"])
    with pytest.raises((KeyError, IndexError, ValueError), match="hook_rot_q"):
        lw.load(tiny("gpt2")).capture(random_tokens(1, 3), ["blocks.0.attn.hook_rot_q"])
    with pytest.raises((KeyError, IndexError, ValueError), match=r"blocks\.3\.hook_resid_pre"):
        lw.load(tiny("gpt2")).capture(random_tokens(1, 3), ["blocks.3.hook_resid_pre"])
