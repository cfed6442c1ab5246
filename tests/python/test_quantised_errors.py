"""Quantised checkpoints that do not fit, and forms that are not read: one clear line each."""

from __future__ import annotations

import json

import pytest
import torch

import lenswright as lw
import quantised
from lenswright.checkpoints.inspecting import inspect
from lenswright.reference import Reference
from support import random_tokens, rewrite


@pytest.fixture
def oss(family, tmp_path):
    """oss(): a tiny gpt-oss as published."""
    sizes = {"hidden_size": 64, "intermediate_size": 96}
    return lambda: quantised.mxfp4(family("gpt_oss", "", **sizes), tmp_path / "mxfp4")


WEIGHT = "model.layers.1.mlp.up_proj.weight"


def spoilt(tiny, to, change, **rule):
    def returned(tensors):
        found = change(tensors)
        return found if isinstance(found, dict) else tensors

    folder = quantised.fp8(tiny("llama"), to)
    rewrite(folder, returned)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= rule
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("change", "said"), [
    (lambda t: t.pop(WEIGHT + "_scale_inv"), f"'{WEIGHT}'.*scale.*missing"),
    (lambda t: t.pop(WEIGHT), "scale without its weight"),
    (lambda t: t | {WEIGHT: t[WEIGHT].float()}, "stored as F32, expected F8_E4M3"),
    (lambda t: t | {WEIGHT + "_scale_inv": torch.ones(3, 3)}, r"shape \[3, 3\], expected \[3, 2\]"),
    (lambda t: t | {WEIGHT: t[WEIGHT].float().to(torch.float8_e5m2)}, "expected F8_E4M3"),
    (lambda t: t | {WEIGHT + "_scale_inv": t[WEIGHT + "_scale_inv"] * torch.inf}, "finite"),
    (lambda t: t | {"model.embed_tokens.weight": torch.zeros(97, 30).to(torch.float8_e4m3fn),
                    "model.embed_tokens.weight_scale_inv": torch.ones(7, 2)}, "embedding in fp8"),
    (lambda t: t | {"model.norm.weight": torch.ones(30).to(torch.float8_e4m3fn),
                    "model.norm.weight_scale_inv": torch.ones(1)}, "expected a matrix"),
])  # fmt: skip
def test_what_does_not_fit_is_named(tiny, tmp_path, change, said):
    folder = spoilt(tiny, tmp_path / "fp8", change)
    with pytest.raises(ValueError, match=said):
        lw.load(folder)


def test_config_keys(tiny, tmp_path):
    with pytest.warns(UserWarning, match=r"quantization_config\.colour"):
        lw.load(spoilt(tiny, tmp_path / "a", lambda t: t, colour="red"))
    with pytest.raises(ValueError, match="weight_block_size"):
        lw.load(spoilt(tiny, tmp_path / "b", lambda t: t, weight_block_size=[16]))
    static = spoilt(
        tiny, tmp_path / "c",
        lambda t: t | {WEIGHT.replace("weight", "activation_scale"): torch.ones(())},
        activation_scheme="static",
    )  # fmt: skip
    assert lw.load(static)(random_tokens(1, 3)).isfinite().all()


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors"])
def test_other_forms_are_refused_by_name(tiny, tmp_path, method):
    folder = spoilt(tiny, tmp_path / "x", lambda t: t, quant_method=method)
    with pytest.raises(ValueError, match=method):
        lw.load(folder)
    found = inspect(folder)
    assert not found.supported
    assert found.quantisation is not None
    assert method in found.quantisation


def test_an_exponent_of_255_is_reported(oss):
    folder, name = oss(), "model.layers.1.mlp.experts.down_proj_scales"

    def change(tensors):
        tensors[name][:, 3, 1] = 255

    rewrite(folder, change)
    model = lw.load(folder)
    with pytest.raises(ValueError, match=f"{name}.*255"):
        model(random_tokens(1, 9))
    found = model.verify()
    assert not found.ok
    assert found.accounting.not_numbers == {name: (5 * 32, 0)}


def test_inspect_names_the_form(oss, tiny, tmp_path):
    found = inspect(quantised.fp8(tiny("llama"), tmp_path / "fp8"))
    assert found.supported
    assert found.quantisation == "fp8, blocks of 16 x 24, 21 tensors, which a commit writes in BF16"
    assert inspect(oss()).quantisation == "mxfp4, 6 tensors, which a commit writes in BF16"
    broken = spoilt(tiny, tmp_path / "x", lambda t: t.pop(WEIGHT + "_scale_inv"))
    found = inspect(broken)
    assert not found.supported
    assert "_scale_inv' is missing" in str(found)


def test_transformers_models_are_refused_by_one_line(oss):
    folder = oss()
    with pytest.raises(ValueError, match=r"mxfp4.*edit\.commit"):
        lw.load(folder).to_transformers()
    with pytest.raises(ValueError, match=r"quantised \(mxfp4\).*edit\.commit"):
        Reference(folder)
