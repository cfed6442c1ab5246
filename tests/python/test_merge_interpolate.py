"""Straight lines between models, by head and by subspace, against plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
import merging_models as models


def test_by_head_and_by_subspace(tiny: Any, tmp_path: Path) -> None:
    """llama-grouped: 4 query heads of 10 over 2 of keys, 40 wide."""
    folder = tiny("llama-grouped")
    base = models.load(folder)
    chance = torch.Generator().manual_seed(0)
    other = {n: v + 0.1 * torch.randn(v.shape, generator=chance) for n, v in base.items()}
    config = lw.Checkpoint(folder).config
    model = models.save(tmp_path / "other", other, config)
    heads, rows = torch.rand(3, 4, generator=chance), torch.randn(2, 40, generator=chance)
    save_file({"heads": heads, "subspace": rows}, tmp_path / "shares.safetensors")
    entry = {"model": str(model), "statistics": str(tmp_path / "shares.safetensors")}
    lw.merge(
        {"merge_method": "interpolate", "base_model": str(folder), "models": [entry],
         "parameters": {"t": 0.3, "t_subspace": 0.9}, "out_dtype": "float64"}, tmp_path / "out",
    )  # fmt: skip
    got = {name: value.numpy() for name, value in models.load(tmp_path / "out").items()}
    q, _ = np.linalg.qr(rows.double().numpy().T)
    p, each = q @ q.T, np.repeat(heads.double().numpy(), 10, axis=1)
    keys = np.repeat(heads.double().numpy().reshape(3, 2, 2).mean(2), 10, axis=1)
    for name, value in got.items():
        a = base[name].double().numpy()
        d = other[name].double().numpy() - a
        t: Any = 0.3
        layer = int(name.split(".")[2]) if ".layers." in name else 0
        if "q_proj" in name:
            t = each[layer][:, None] if d.ndim == 2 else each[layer]
        if "k_proj" in name or "v_proj" in name:
            t = keys[layer][:, None] if d.ndim == 2 else keys[layer]
        if "o_proj.weight" in name:
            t = each[layer][None]
        inside = 0 * d
        if d.ndim == 2:
            written = name.endswith(("o_proj.weight", "down_proj.weight"))
            inside = p @ d if written else d @ p
        want = a + t * (d - inside) + 0.9 * inside
        assert np.abs(value - want).max() <= 1e-12 * np.abs(want).max(), name
    plain = {"merge_method": "interpolate", "base_model": str(folder),
             "models": [{"model": str(model)}], "parameters": {"t": 0.25}}  # fmt: skip
    lw.merge(plain, tmp_path / "plain")
    name = "model.layers.1.mlp.up_proj.weight"
    want = 0.75 * base[name].double() + 0.25 * other[name].double()
    models.judge(name, models.load(tmp_path / "plain")[name], want.numpy(), 1e-6)
    save_file({"heads": heads[:2]}, tmp_path / "short.safetensors")
    entry["statistics"] = str(tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match=r"heads is \[2, 4\], expected \[3, 4\]"):
        lw.merge(plain | {"models": [entry]}, tmp_path / "no")
