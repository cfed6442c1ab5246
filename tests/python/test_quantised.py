"""fp8 with scales for blocks and MXFP4: read as they are stored, equal to what they stand for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
import quantised
from lenswright.checkpoints.inspecting import inspect
from lenswright.reference import Reference
from support import LIMITS, random_tokens
from test_families import compare

FP8 = [
    "apertus", "deepseek_v2", "deepseek_v3", "ernie4_5_moe", "gemma2", "glm4_moe", "gpt2",
    "gpt_neox", "granitemoe", "hunyuan_v1_moe", "llama4_text", "mistral", "mixtral", "mpt", "olmoe",
    "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3",
]  # fmt: skip
MXFP4_SIZES = {"hidden_size": 64, "intermediate_size": 96}


@pytest.fixture
def oss(family, tmp_path):
    """oss(knob): a tiny gpt-oss as published."""
    return lambda knob="": quantised.mxfp4(
        family("gpt_oss", knob, **MXFP4_SIZES), tmp_path / f"mxfp4-{knob}"
    )


def check(folder, plain, record_property):
    """Every point in float64 and float32 against lifted transformers on the plain copy."""
    tokens = random_tokens(3, 13)
    reference = Reference(plain)
    theirs = reference.points(tokens)
    theirs["logits"] = reference.points(tokens, ["logits"])["logits"]
    for dtype, limit in LIMITS.items():
        model = lw.load(folder, dtype=dtype, strict=True)
        assert set(model.points()) == set(theirs) - {"logits"}
        logits, cache = model.run_with_cache(tokens)
        error, where = compare({**cache, "logits": logits}, theirs)
        record_property(dtype, f"{error:.1e} at {where}")
        assert error <= limit, f"{where} in {dtype}"


@pytest.mark.parametrize("name", FP8)
def test_every_point_of_fp8(family, tmp_path, name, record_property):
    block = (15, 24) if name == "llama4_text" else (16, 24)
    folder = quantised.fp8(family(name, ""), tmp_path / "fp8", block)
    stored = load_file(folder / "model.safetensors")
    assert sum(t.dtype == torch.float8_e4m3fn for t in stored.values()) > 6
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


@pytest.mark.parametrize("knob", ["low rank", "yarn"])
def test_latent_attention_in_fp8(family, tmp_path, knob, record_property):
    name = "deepseek_v2" if knob == "low rank" else "deepseek_v3"
    folder = quantised.fp8(family(name, knob), tmp_path / "fp8")
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


@pytest.mark.parametrize("stored", quantised.SCALES)
def test_every_type_of_scales(tiny, tmp_path, stored, record_property):
    folder = quantised.fp8(tiny("llama-grouped"), tmp_path / "fp8", (16, 24), stored)
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


@pytest.mark.parametrize("name", ["llama", "llama-wide-heads"])
def test_one_scale_for_a_matrix(tiny, tmp_path, name, record_property):
    folder = quantised.fp8(tiny(name), tmp_path / "fp8", None)
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


def test_blocks_as_published(tiny, tmp_path, record_property):
    """128 x 128, over 200 and 72, which they do not divide."""
    plain = tiny("llama", hidden_size=72, intermediate_size=200, num_attention_heads=6,
                 num_key_value_heads=2)  # fmt: skip
    folder = quantised.fp8(plain, tmp_path / "fp8", (128, 128))
    scales = load_file(folder / "model.safetensors")["model.layers.0.mlp.up_proj.weight_scale_inv"]
    assert scales.shape == (2, 1)
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


@pytest.mark.parametrize("knob", ["", "clamped", "full"])
def test_every_point_of_mxfp4(oss, tmp_path, knob, record_property):
    folder = oss(knob)
    check(folder, quantised.dequantised(folder, tmp_path / "plain"), record_property)


@pytest.mark.parametrize("name", ["deepseek_v3", "qwen3_moe", "glm4_moe"])
def test_both_layouts_of_experts_are_one_model(family, tmp_path, name):
    """Inner widths of 11 under blocks of 16: gates and ups keep grids of their own."""
    separate = quantised.fp8(family(name, ""), tmp_path / "separate")
    fused = quantised.fused(separate, tmp_path / "fused")
    tokens = random_tokens(2, 13)
    with lw.deterministic():
        found = [lw.load(folder).run_with_cache(tokens) for folder in (separate, fused)]
    (ours, cache), (theirs, other) = found
    assert torch.equal(ours, theirs)
    assert all(torch.equal(cache[point], other[point]) for point in cache)


def test_what_it_stands_for(oss, tiny, tmp_path):
    """`weights` and `weight` are the numbers; `parameters` is what is stored."""
    for folder in (oss(), quantised.fp8(tiny("llama"), tmp_path / "fp8")):
        plain = quantised.dequantised(folder, tmp_path / f"plain-{folder.name}")
        model, other = lw.load(folder), lw.load(plain)
        ours, theirs = model.weights(), other.weights()
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[name].float(), theirs[name]) for name in ours)
        assert torch.equal(model.weight("blocks.1.attn.W_O").float(), theirs["blocks.1.attn.W_O"])
        assert torch.equal(model.W_U.float(), other.W_U)
        assert set(model.parameters()) == set(load_file(folder / "model.safetensors"))
        assert model.core.size == other.core.size
        assert f"{other.core.size:,} parameters" in repr(model)
        assert inspect(folder).parameters == inspect(plain).parameters


@pytest.mark.parametrize("form", ["fp8", "mxfp4"])
def test_gradients_generation_and_rows(oss, family, tmp_path, form):
    folder = oss() if form == "mxfp4" else quantised.fp8(family("qwen3_moe", ""), tmp_path / "fp8")
    plain = quantised.dequantised(folder, tmp_path / "plain")
    model, other = (lw.load(path, dtype="float64") for path in (folder, plain))
    tokens = random_tokens(2, 9)
    caches = [
        m.run_with_cache(tokens, incl_bwd=True, return_type="loss")[1] for m in (model, other)
    ]
    names = [name for name in caches[1] if name.endswith("_grad")]
    assert len(names) > 10
    error, where = compare({n: caches[0][n] for n in names}, {n: caches[1][n] for n in names})
    assert error <= 1e-10, where
    prompt = random_tokens(1, 5)
    said = [
        m.generate(prompt, max_new_tokens=40, stop_at_eos=False).tolist() for m in (model, other)
    ]
    assert said[0] == said[1]
    single = lw.load(folder)
    with lw.deterministic():
        together = single(tokens)
        assert all(torch.equal(single(tokens[i : i + 1]), together[i : i + 1]) for i in range(2))


def test_reading_watches_and_changes_as_everywhere(oss):
    model, tokens = lw.load(oss()), random_tokens(2, 7)
    plain = model(tokens)
    logits, cache = model.run_with_cache(tokens, names_filter=["blocks.1.attn.hook_result"])
    assert torch.equal(logits, plain)
    total = cache["blocks.1.attn.hook_result"].sum(2)
    bias = model.weight("blocks.1.attn.b_O")
    _, whole = model.run_with_cache(tokens, names_filter=["blocks.1.hook_attn_out"])
    torch.testing.assert_close(total + bias, whole["blocks.1.hook_attn_out"], rtol=1e-4, atol=1e-5)
    zeroed = [("blocks.1.hook_resid_pre", lambda value, hook: torch.zeros_like(value))]
    assert not torch.equal(model.run_with_hooks(tokens, fwd_hooks=zeroed), plain)


@pytest.mark.parametrize(("dtype", "limit"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_16_bit_computation(tiny, tmp_path, dtype, limit):
    folder = quantised.fp8(tiny("llama"), tmp_path / "fp8")
    tokens = random_tokens(2, 9)
    exact = lw.load(folder, dtype="float64")(tokens)
    logits = lw.load(folder, dtype=dtype)(tokens)
    assert logits.dtype == getattr(torch, dtype)
    assert float((logits.double() - exact).abs().max() / exact.abs().max()) <= limit
    assert lw.load(folder)(tokens).dtype == torch.float32  # the rest is bfloat16


def test_it_passes_its_own_test(oss, tiny, tmp_path):
    for folder in (oss(), quantised.fp8(tiny("llama"), tmp_path / "fp8")):
        found = lw.load(folder).verify()
        assert found.ok, str(found)


CHILD = """
import sys, torch, json
from pathlib import Path
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return 1024 * int(next(l for l in lines if l.startswith("Anonymous")).split()[1])
torch.set_num_threads(1)
torch.nn.functional.linear(torch.ones(8, 64), torch.ones(64, 64))
import lenswright as lw
base = private()
model = lw.load(sys.argv[1])
loaded = private()
with torch.no_grad():
    model(torch.arange(1, 9)[None])
print(json.dumps([loaded - base, private() - base]))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no smaps_rollup here")
def test_the_whole_is_never_widened(tmp_path, record_property):
    """Private memory after loading and after a forward, against a file of 58 MB."""
    from transformers import LlamaConfig

    sizes = {"hidden_size": 1024, "intermediate_size": 8192, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=97, num_attention_heads=8, **sizes).to_dict()
    config |= {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "quantization_config": {
        "quant_method": "fp8", "weight_block_size": [128, 128]}}  # fmt: skip
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    quantised.save_random_llama(folder, **sizes)
    size = (folder / "model.safetensors").stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=True
    )
    loaded, run = (private / size for private in json.loads(done.stdout))
    record_property("private memory, shares of the file", f"{loaded:.3f}, {run:.3f}")
    assert loaded < 0.1
    assert run < 0.25
