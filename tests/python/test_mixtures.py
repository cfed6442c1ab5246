"""Mixtures of experts in the core: layouts of one model, routers, and configs that are refused."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import lenswright as lw
from families import ROWS
from routers import ROUTERS
from support import random_tokens, rewrite, worst

ONE_LAYOUT = ("gpt_oss", "llama4", "llama4_text")
PER_EXPERT = [name for name in ROWS if name in ROUTERS and name not in ONE_LAYOUT]
TRANSPOSED = ("qwen3_vl_moe",)  # experts as published lie the other way round
BY_NAME = [name for name in PER_EXPERT if name not in TRANSPOSED]


def points(folder, dtype="float32", deterministic=True):
    model = lw.load(folder, dtype=dtype, strict=True)
    with lw.deterministic(deterministic):
        logits, cache = model.run_with_cache(random_tokens(2, 13))
    return {**cache, "logits": logits}


def transposed(folder, to):
    """A copy of a checkpoint with fused experts whose matrices lie the other way round."""
    shutil.copytree(folder, to)
    rewrite(to, lambda weights: {n: w.mT if ".experts." in n else w for n, w in weights.items()})
    return to


@pytest.mark.parametrize("name", BY_NAME)
def test_both_layouts_are_one_model(family, name):
    separate, fused = family(name, ""), family(name, "", fused=True)
    ours, theirs = points(separate), points(fused)
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[point], theirs[point]) for point in ours)


def test_transposed_experts_are_the_same_model(family, tmp_path):
    folder = family(TRANSPOSED[0], "")
    ours, theirs = points(folder), points(transposed(folder, tmp_path / "published"))
    error, where = worst(ours, theirs)
    assert error <= 1e-6, where


@pytest.mark.parametrize("name", PER_EXPERT)
def test_a_commit_of_nothing_keeps_the_layout(family, name, tmp_path):
    for fused in (False, True):
        folder, out = family(name, "", fused=fused), tmp_path / str(fused)
        model = lw.load(folder)
        lw.edits.from_factors(model, {}).commit(folder, out, progress=False)
        file = "model.safetensors"
        assert (out / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize("name", [name for name in ROWS if name in ROUTERS])
def test_written_logits_reach_the_choice(family, name):
    """Whatever a router's logits become, weights follow the family's rule for them."""
    folder = family(name, "")
    config = json.loads((folder / "config.json").read_text())
    config = config.get("text_config", config)
    model = lw.load(folder, dtype="float64")
    hook = next(n for n in model.points() if n.endswith("hook_router_logits"))
    start = hook.removesuffix("router_logits")
    tokens = random_tokens(4, 13)
    _, before = model.run_with_cache(tokens)
    logits = 3.0 * torch.randn(before[hook].shape, dtype=torch.float64)
    with model.hooks([(hook, lambda value, hook: logits)]):
        _, cache = model.run_with_cache(tokens)
    indices = cache[start + "expert_indices"]
    weights = torch.zeros_like(logits).scatter(-1, indices, cache[start + "expert_weights"])
    correction = start.removesuffix("hook_") + "router_correction"
    bias = model.weights().get(correction)
    bias = None if bias is None else bias.double()
    expected = ROUTERS[name](logits, bias, indices.shape[-1], _Config(config))
    torch.testing.assert_close(weights, expected, rtol=1e-12, atol=1e-15)


REFUSED = {
    "deepseek_v2": [{"norm_topk_prob": True}, {"topk_method": "noaux_tc"},
                    {"scoring_func": "sigmoid"}, {"moe_layer_freq": 2},
                    {"num_key_value_heads": 1}, {"num_experts_per_tok": 7}],
    "deepseek_v3": [{"topk_method": "greedy"}, {"scoring_func": "softmax"}, {"n_group": 4},
                    {"topk_group": 4}, {"n_group": 6, "topk_group": 1}],
    "dots1": [{"scoring_func": "softmax"}, {"n_shared_experts": None}],
    "ernie4_5_moe": [{"moe_use_hard_gate": True}, {"moe_gate_act": "sigmoid"}],
    "gpt_oss": [{"quantization_config": {"quant_method": "gptq"}}],
    "granitemoe": [{"position_embedding_type": "nope"}],
    "hunyuan_v1_moe": [{"use_cla": True}, {"use_qk_norm": False}, {"num_shared_expert": [1, 2, 1]},
                       {"moe_layer_num_skipped": 1}, {"moe_intermediate_size": 5},
                       {"moe_topk": [1, 2]}, {"head_dim": None}],
    "llama4_text": [{"attention_chunk_size": None}, {"no_rope_layers": [1]},
                    {"layer_types": ["sliding_attention"] * 4}],
    "mixtral": [{"hidden_act": "sine"}, {"num_experts_per_tok": 6}],
    "phimoe": [{"num_experts_per_tok": 3},
               {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}},
               {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 5,
                                    "long_factor": [1.0] * 5}}],
    "qwen2_moe": [{"decoder_sparse_step": 0}],
    "qwen3_moe": [{"shared_expert_intermediate_size": 3}, {"use_qk_norm": False}],
    "qwen3_vl_moe": [{"text_config": {"norm_topk_prob": False}}],
}  # fmt: skip
"""Changes of config.json that ask for arithmetic we lack."""


def changed(folder, to, change):
    """A copy of a checkpoint with other keys in its config.json."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    text = change.pop("text_config", {})
    config |= change
    if text:
        config["text_config"] |= text
    (to / "config.json").write_text(json.dumps(config))
    return to


@pytest.mark.parametrize(("name", "change"), [(n, c) for n in REFUSED for c in REFUSED[n]])
def test_what_we_lack_is_refused_by_name(family, tmp_path, name, change):
    words = {"n_group": "group", "topk_group": "group",
             "num_key_value_heads": "num_key_value_heads", "num_experts_per_tok": "experts|two",
             "hidden_act": "activation", "rope_parameters": "rope", "text_config": "norm_topk_prob",
             "layer_types": "chunked_attention"}  # fmt: skip
    key = next(iter(change))
    with pytest.raises(ValueError, match=words.get(key, key)) as error:
        lw.load(changed(family(name), tmp_path / "model", dict(change)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["deepseek_v3", "glm4_moe"])
def test_layers_that_predict_further_tokens_are_carried_along(family, tmp_path, name):
    folder = shutil.copytree(family(name), tmp_path / "model")
    layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    rewrite(folder, lambda w: w | {f"model.layers.{layers}.enorm.weight": torch.ones(3)})
    theirs = points(family(name))
    assert torch.equal(points(folder)["logits"], theirs["logits"])
    out = tmp_path / "out"
    model = lw.load(folder)
    lw.edits.from_factors(model, {}).commit(folder, out, progress=False)
    assert (out / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    rewrite(folder, lambda w: w | {f"model.layers.{layers + 1}.enorm.weight": torch.ones(3)})
    with pytest.raises(ValueError, match="does not account for"):
        lw.load(folder)


def test_phimoe_refuses_rows_beyond_the_original_length(family, tmp_path):
    folder = family("phimoe", "long")
    model = lw.load(folder)
    assert model(random_tokens(1, 32)).isfinite().all()
    with pytest.raises(ValueError, match="at most 32"):
        model(random_tokens(1, 33))
    published = changed(folder, tmp_path / "p", {"architectures": ["PhiMoEForCausalLM"]})
    assert torch.equal(lw.load(published)(random_tokens(1, 9)), model(random_tokens(1, 9)))


@pytest.mark.parametrize("change", [
    {"attention_chunk_size": 4}, {"floor_scale": 3}, {"attn_scale": 0.2}, {"use_qk_norm": False},
    {"attn_temperature_tuning": False}, {"no_rope_layers": [0, 1, 1, 1]}, {"rms_norm_eps": 0.1},
    {"layer_types": ["full_attention"] * 4}, {"num_experts_per_tok": 1},
])  # fmt: skip
def test_every_setting_of_llama4_acts(family, tmp_path, change):
    folder = family("llama4_text")
    ours, other = points(folder), points(changed(folder, tmp_path / "other", dict(change)))
    assert not torch.allclose(ours["logits"], other["logits"], atol=1e-4)


class _Config:
    def __init__(self, values):
        self.__dict__.update(values)
