"""model+adapter: LoRA adapters of PEFT are added where a tensor is read, exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
import merging_models as models

UP = "model.layers.1.mlp.up_proj"
Q = "model.layers.0.self_attn.q_proj"


def adapter(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 6} | config
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(
        {f"base_model.model.{name}": value.contiguous() for name, value in tensors.items()},
        folder / "adapter_model.safetensors",
    )
    return folder


def pair(model: dict[str, torch.Tensor], module: str, rank: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows, cols = model[f"{module}.weight"].shape
    return [
        torch.randn(rank, cols, generator=generator),
        torch.randn(rows, rank, generator=generator),
    ]


def named(module: str, factors: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{module}.lora_A.weight": factors[0], f"{module}.lora_B.weight": factors[1]}


def passed(folder: Path, lora: Path, out: Path, **more: Any) -> dict[str, torch.Tensor]:
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{folder}+{lora}"}]} | more
    lw.merge(recipe, out)
    return models.load(out)


def test_the_sum_is_exact(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = models.load(tiny("llama"))
    up, q = pair(base, UP, 4, 0), pair(base, Q, 2, 1)
    lora = adapter(tmp_path / "lora", named(UP, up) | named(Q, q), rank_pattern={"q_proj": 2},
                   alpha_pattern={"q_proj": 10})  # fmt: skip
    out = passed(tiny("llama"), lora, tmp_path / "out")
    for module, (a, b), scale in ((UP, up, 6 / 4), (Q, q, 10 / 2)):
        want = base[f"{module}.weight"].double() + scale * (b.double() @ a.double())
        same, count = models.judge(module, out[f"{module}.weight"], want.numpy(), 1e-6)
        assert same >= 0.999 * count
    for name, value in base.items():
        if name not in (f"{UP}.weight", f"{Q}.weight"):
            assert torch.equal(out[name], value)


def test_rank_stabilised(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = models.load(tiny("llama"))
    a, b = pair(base, UP, 4, 0)
    lora = adapter(tmp_path / "lora", named(UP, [a, b]), use_rslora=True)
    out = passed(tiny("llama"), lora, tmp_path / "out", out_dtype="bfloat16")
    want = base[f"{UP}.weight"].double() + 6 / math.sqrt(4) * (b.double() @ a.double())
    same, count = models.judge(UP, out[f"{UP}.weight"], want.numpy())
    assert same >= 0.999 * count


def test_transposed_embeddings_and_replaced(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = models.load(tiny("gpt2"))
    module = "transformer.h.1.attn.c_attn"
    rows, cols = base[f"{module}.weight"].shape  # [in, out]: Conv1D
    a, b = torch.randn(3, rows), torch.randn(cols, 3)
    vocabulary, width = base["transformer.wte.weight"].shape
    ea, eb = torch.randn(3, vocabulary), torch.randn(width, 3)
    norm = torch.randn(width)
    lora = adapter(
        tmp_path / "lora",
        named(module, [a, b]) | {
            "transformer.wte.lora_embedding_A": ea, "transformer.wte.lora_embedding_B": eb,
            "transformer.ln_f.modules_to_save.weight": norm,
        },
        fan_in_fan_out=True, r=3,
    )  # fmt: skip
    out = passed(tiny("gpt2"), lora, tmp_path / "out")
    for name, delta in {
        f"{module}.weight": (b.double() @ a.double()).T,
        "transformer.wte.weight": (eb.double() @ ea.double()).T,
    }.items():
        models.judge(name, out[name], (base[name].double() + 2 * delta).numpy(), 1e-6)
        assert not torch.equal(out[name], base[name])
    assert torch.equal(out["transformer.ln_f.weight"], norm)


def test_in_a_merge(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """Task vectors of two adapters of one base."""
    base = models.load(tiny("llama"))
    deltas, names = [], []
    for i in range(2):
        a, b = pair(base, UP, 4, i)
        names.append(adapter(tmp_path / f"lora{i}", named(UP, [a, b])))
        deltas.append((1.5 * (b.double() @ a.double())).numpy())
    recipe = {
        "merge_method": "task_arithmetic", "base_model": str(tiny("llama")),
        "models": [
            {"model": {"model": str(tiny("llama")), "lora": str(name)}, "parameters": {"weight": w}}
            for name, w in zip(names, (0.5, 0.25), strict=True)
        ],
    }  # fmt: skip
    lw.merge(recipe, tmp_path / "out")
    out = models.load(tmp_path / "out")
    want = base[f"{UP}.weight"].double().numpy() + 0.5 * deltas[0] + 0.25 * deltas[1]
    models.judge(UP, out[f"{UP}.weight"], want)
    assert np.array_equal(out["model.norm.weight"].numpy(), base["model.norm.weight"].numpy())


def test_what_is_refused(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = models.load(tiny("llama"))
    a, b = pair(base, UP, 4, 0)
    wrong = {
        "dora": (named(UP, [a, b]), {"use_dora": True}, "DoRA"),
        "ia3": (named(UP, [a, b]), {"peft_type": "IA3"}, "'IA3'"),
        "pissa": (named(UP, [a, b]), {"init_lora_weights": "pissa"}, "changes the model"),
        "name": (named(UP.replace("up_proj", "up_prj"), [a, b]), {}, "did you mean"),
        "shape": (named(UP, [a[:, :-1], b]), {}, "do not fit"),
        "half": ({f"{UP}.lora_A.weight": a}, {}, "only one factor"),
        "saved": ({"model.norm.weight": torch.zeros(3)}, {}, "another shape"),
    }
    for name, (tensors, config, said) in wrong.items():
        lora = adapter(tmp_path / name, tensors, **config)
        with pytest.raises(ValueError, match=said):
            passed(tiny("llama"), lora, tmp_path / "out")
    assert not (tmp_path / "out").exists()
