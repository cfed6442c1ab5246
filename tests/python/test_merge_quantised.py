"""Quantised models in merges: as the weights they stand for, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
import merging_models as models
import quantised

Tiny = Callable[..., Path]


def linear(folders: list[Path], **more: Any) -> dict[str, Any]:
    entries = [
        {"model": str(f), "parameters": {"weight": w}}
        for f, w in zip(folders, (0.4, 0.9), strict=False)
    ]
    return {"merge_method": "linear", "models": entries} | more


def check(folders: list[Path], plain: list[Path], out: Path) -> None:
    """A merge of quantised models is one of what transformers makes of them, to the bit."""
    lw.merge(linear(folders), out / "quantised")
    lw.merge(linear(plain, out_dtype="bfloat16"), out / "plain")
    got, want = models.load(out / "quantised"), models.load(out / "plain")
    assert set(got) == set(want)
    for name, value in got.items():
        assert torch.equal(value.bfloat16(), want[name]), name
    config = json.loads((out / "quantised" / "config.json").read_text())
    assert "quantization_config" not in config
    lw.load(out / "quantised", strict=True)


@pytest.mark.parametrize("block", [(16, 24), (128, 128), None])
def test_fp8(block: quantised.Block, tiny: Tiny, tmp_path: Path) -> None:
    other = {name: value.flip(0) for name, value in models.load(tiny("llama")).items()}
    config = json.loads((tiny("llama") / "config.json").read_text())
    two = [tiny("llama"), models.save(tmp_path / "other", other, config)]
    folders = [quantised.fp8(folder, tmp_path / f"q{i}", block) for i, folder in enumerate(two)]
    plain = [quantised.dequantised(f, tmp_path / f"p{i}") for i, f in enumerate(folders)]
    check(folders, plain, tmp_path)


@pytest.mark.parametrize("stored", quantised.SCALES)
def test_types_of_scales(stored: str, tiny: Tiny, tmp_path: Path) -> None:
    one = quantised.fp8(tiny("llama"), tmp_path / "q", (16, 24), stored)
    one = quantised.sharded(one, tmp_path / "s")
    plain = quantised.dequantised(tmp_path / "q", tmp_path / "p")
    check([one], [plain], tmp_path)


def test_fused_experts_and_larger_than_a_tile(tmp_path: Path, family: Any) -> None:
    separate = quantised.fp8(family("qwen3_moe", ""), tmp_path / "q")
    fused = quantised.fused(separate, tmp_path / "fused")
    check([fused], [quantised.dequantised(fused, tmp_path / "p")], tmp_path)
    large = tmp_path / "large"
    large.mkdir()
    generator = torch.Generator().manual_seed(0)
    codes, scales = quantised.to_fp8(torch.randn(531, 1013, generator=generator), (16, 24))
    name = "model.layers.0.mlp.up_proj.weight"
    save_file({name: codes, name + "_scale_inv": scales}, large / "model.safetensors")
    rule = {"quant_method": "fp8", "weight_block_size": [16, 24]}
    (large / "config.json").write_text(json.dumps(models.CONFIG | {"quantization_config": rule}))
    lw.merge(linear([large], parameters={"normalize": False}), tmp_path / "of-large")
    rows = torch.arange(531)[:, None] // 16, torch.arange(1013) // 24
    want = 0.4 * (codes.float() * scales[rows]).double()
    assert torch.equal(models.load(tmp_path / "of-large")[name], want.bfloat16())


def test_mxfp4(tmp_path: Path, family: Any) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 96}
    one = quantised.mxfp4(family("gpt_oss", "", **sizes), tmp_path / "q")
    check([one], [quantised.dequantised(one, tmp_path / "p")], tmp_path)


def test_with_an_adapter_and_another_type(tiny: Tiny, tmp_path: Path) -> None:
    folder = quantised.fp8(tiny("llama"), tmp_path / "q")
    plain = quantised.dequantised(folder, tmp_path / "p")
    lora = tmp_path / "lora"
    lora.mkdir()
    module = "model.layers.1.mlp.up_proj"
    (lora / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 3}')
    a, b = torch.randn(2, 30), torch.randn(37, 2)
    save_file(
        {f"base_model.model.{module}.lora_{x}.weight": v for x, v in (("A", a), ("B", b))},
        lora / "adapter_model.safetensors",
    )
    for name, base in (("x", folder), ("y", plain)):
        recipe = {"merge_method": "passthrough", "models": [{"model": f"{base}+{lora}"}],
                  "out_dtype": "float32"}  # fmt: skip
        lw.merge(recipe, tmp_path / name)
    got, want = models.load(tmp_path / "x"), models.load(tmp_path / "y")
    assert all(torch.equal(got[name], want[name]) for name in want)
    lw.merge({"merge_method": "passthrough", "models": [{"model": f"{folder}+{lora}"}]},
             tmp_path / "z")  # fmt: skip
    assert models.load(tmp_path / "z")[f"{module}.weight"].dtype == torch.bfloat16


def test_passed_through_it_stays_quantised(tiny: Tiny, tmp_path: Path) -> None:
    folder = quantised.fp8(tiny("llama"), tmp_path / "q")
    lw.merge({"merge_method": "passthrough", "models": [{"model": str(folder)}]}, tmp_path / "out")
    got, want = models.load(tmp_path / "out"), models.load(folder)
    assert {n: v.dtype for n, v in got.items()} == {n: v.dtype for n, v in want.items()}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "fp8"


def test_experts_that_are_quantised(tiny: Tiny, tmp_path: Path) -> None:
    folder = quantised.fp8(tiny("llama"), tmp_path / "q")
    plain = quantised.dequantised(folder, tmp_path / "p")
    for name, model in (("x", folder), ("y", plain)):
        experts = [{"source_model": str(model)}] * 2
        lw.mixture_of_experts(
            {"base_model": str(model), "experts": experts, "gate_mode": "random",
             "dtype": "bfloat16"}, tmp_path / name,
        )  # fmt: skip
    got, want = models.load(tmp_path / "x"), models.load(tmp_path / "y")
    assert all(torch.equal(got[name], want[name]) for name in want)
    lw.load(tmp_path / "x", strict=True)


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors", "hqq"])
def test_other_ways_are_refused_by_name(method: str, tiny: Tiny, tmp_path: Path) -> None:
    config = json.loads((tiny("llama") / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method}
    models.save(tmp_path / "q", models.load(tiny("llama")), config)
    with pytest.raises(ValueError, match=f"model .*'quantization_config' is {method}"):
        lw.merge(linear([tiny("llama"), tmp_path / "q"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("ending", "form"),
    [("qweight", "GPTQ or AWQ"), ("weight_packed", "packed integers"), ("SCB", "bitsandbytes"),
     ("weight_scale_inv", "fp8"), ("weight_scale", "compressed-tensors")],
)  # fmt: skip
def test_unnamed_ones_are_known_by_their_tensors(
    ending: str, form: str, tiny: Tiny, tmp_path: Path
) -> None:
    tensors = models.load(tiny("llama"))
    tensors[f"model.layers.0.mlp.up_proj.{ending}"] = torch.ones(3)
    models.save(tmp_path / "q", tensors, json.loads((tiny("llama") / "config.json").read_text()))
    with pytest.raises(ValueError, match=f"quantised by {form}"):
        lw.merge(linear([tiny("llama"), tmp_path / "q"]), tmp_path / "out")


def test_scales_that_do_not_fit(tiny: Tiny, tmp_path: Path) -> None:
    folder = quantised.fp8(tiny("llama"), tmp_path / "q")
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    name = "model.layers.1.mlp.up_proj.weight_scale_inv"
    models.save(tmp_path / "no", {n: t for n, t in tensors.items() if n != name}, config)
    with pytest.raises(ValueError, match=r"its scale .* is missing"):
        lw.merge(linear([tmp_path / "no"]), tmp_path / "out")
    models.save(tmp_path / "short", tensors | {name: tensors[name][:-1]}, config)
    with pytest.raises(ValueError, match="one for each block"):
        lw.merge(linear([tmp_path / "short"]), tmp_path / "out")
