"""Straight lines between models, by head and by subspace, against plain NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
import merging_models as models
from families import ROWS
from lenswright.merging.alignment.places import Places


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
        elif name.endswith(("o_proj.bias", "down_proj.bias")):  # vectors of the stream
            inside = p @ d
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


def noisy(folder: Path, out: Path, only: tuple[str, ...] = ()) -> Path:
    """A copy with noise on every weight, or on those of the first layer that end so."""
    file, chance = lw.Checkpoint(folder), torch.Generator().manual_seed(3)
    tensors = models.load(folder)
    places = Places.of(file.config, {info.name: list(info.shape) for info in file.tensors()})
    for name, place in places.by_name.items():
        if not only or (name.startswith("blocks.0.attn.") and name.endswith(only)):
            value = place.read(tensors[place.source])
            place.write(
                tensors[place.source], value + 0.2 * torch.randn(value.shape, generator=chance)
            )
    return models.save(out, tensors, json.loads((folder / "config.json").read_text()))


def knob_of(name: str) -> str:
    knobs = ROWS[name].variants()
    return next((knob for knob in ("grouped", "groups", "low rank") if knob in knobs), "")


def interpolated(base: Path, other: Path, out: Path, shares: Any, **parameters: float) -> Path:
    save_file(shares, out.with_suffix(".safetensors"))
    entry = {"model": str(other), "statistics": str(out.with_suffix(".safetensors"))}
    lw.merge({"merge_method": "interpolate", "base_model": str(base), "models": [entry],
              "parameters": parameters, "out_dtype": "float64"}, out, progress=False)  # fmt: skip
    return out


@pytest.mark.parametrize("name", ROWS)
def test_the_ends(name: str, family: Any, tmp_path: Path) -> None:
    """All heads and the whole stream at 0 are the base, at 1 the model."""
    folder = family(name, knob_of(name))
    other, sizes = noisy(folder, tmp_path / "other"), lw.load(folder).cfg
    d, heads = sizes.d_model, (sizes.n_layers, sizes.n_heads)
    for t, end in ((0.0, folder), (1.0, other)):
        shares = {"heads": torch.full(heads, t), "subspace": torch.eye(d)[: d // 2].contiguous()}
        interpolated(folder, other, tmp_path / str(t), shares, t=t, t_subspace=t)
        got, want = models.load(tmp_path / str(t)), models.load(end)
        assert got.keys() == want.keys()
        for tensor, value in want.items():
            rest = 1e-15 * value.double().abs().max()
            assert (got[tensor].double() - value.double()).abs().max() <= 8 * rest, tensor


@pytest.mark.parametrize("name", ROWS)
def test_heads_of_two_models(name: str, family: Any, tmp_path: Path) -> None:
    """The first group's heads are the model's, what they write too; the others are the base's."""
    folder = family(name, knob_of(name))
    ends = ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_O", "sinks")
    other = noisy(folder, tmp_path / "other", ends)
    loaded = {end: lw.load(f, dtype="float64") for end, f in (("base", folder), ("model", other))}
    cfg, spec = loaded["base"].cfg, loaded["base"].spec
    first = cfg.n_heads // (cfg.n_key_value_heads or cfg.n_heads)
    heads = torch.zeros(cfg.n_layers, cfg.n_heads)
    heads[0, :first] = 1
    out = interpolated(folder, other, tmp_path / "out", {"heads": heads}, t=0.0)
    loaded["out"] = lw.load(out, dtype="float64")
    tokens = torch.randint(3, 90, (1, 11), generator=torch.Generator().manual_seed(3))
    point = "blocks.0.attn.hook_result"
    got = {end: model.capture(tokens, point)[point][0] for end, model in loaded.items()}
    flat = spec["qk_norm"] == "flat"  # all heads stand under one norm there: none is by itself
    for head in range(cfg.n_heads):
        want, not_it = (got[e][:, head] for e in (("model", "base") if head < first else
                                                  ("base", "model")))  # fmt: skip
        size = want.abs().max()
        assert (got["out"][:, head] - not_it).abs().max() > 1e-3 * size
        assert flat or (got["out"][:, head] - want).abs().max() <= 1e-12 * size


@pytest.mark.parametrize("name", ROWS)
def test_a_direction_apart(name: str, family: Any, tmp_path: Path) -> None:
    """What every writer writes along a direction is the base's, across it the model's."""
    folder = family(name, knob_of(name))
    other = noisy(folder, tmp_path / "other")
    width = lw.load(folder).cfg.d_model
    v = torch.randn(1, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    interpolated(folder, other, tmp_path / "out", {"subspace": v}, t=1.0, t_subspace=0.0)
    unit = v[0] / v.norm()
    files = {e: lw.Checkpoint(f) for e, f in
             (("base", folder), ("model", other), ("out", tmp_path / "out"))}  # fmt: skip
    checked = 0
    for writer in lw.load(folder).writers():
        for tensor in filter(None, (writer["weight"], writer["bias"])):
            base, model, out = (files[e][tensor].double() for e in ("base", "model", "out"))
            place = writer["residual_axis"] - 2 if base.ndim > 1 else -1
            if writer["kind"] == "embedding_norm":
                place = -1
            along = [value.movedim(place, -1) @ unit for value in (base, out)]
            assert (along[0] - along[1]).abs().max() <= 1e-13 * base.abs().max() * width, tensor
            across = [
                value.movedim(place, -1) - (value.movedim(place, -1) @ unit)[..., None] * unit
                for value in (model, out)
            ]
            assert (across[0] - across[1]).abs().max() <= 1e-13 * model.abs().max() * width, tensor
            checked += 1
    assert checked > 2
