"""Every family in another order: `transformers` sees the same model, aligning finds it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import lenswright as lw
import merging_models as models
from families import CASES, ROWS
from lenswright.merging.alignment.axes import kind_of, part_of
from lenswright.merging.alignment.orders import reordered
from lenswright.merging.alignment.places import Places
from lenswright.verifying.lifted import lifted

TOKENS = torch.randint(3, 90, (2, 13), generator=torch.Generator().manual_seed(3))
FIXED = {
    "heads": {"bloom", "mpt"},
    "residual": {"gemma3", "llama4", "llava", "mistral3", "qwen2_5_vl", "qwen2_vl", "qwen3_vl",
                 "qwen3_vl_moe", "xglm"},
}  # fmt: skip
"""Rows of `families` that have a part which may not move; Falcon's heads where it has slopes."""


def places_of(folder: Path) -> Places:
    file = lw.Checkpoint(folder)
    return Places.of(file.config, {info.name: list(info.shape) for info in file.tensors()})


def random_orders(places: Places, parts: set[str], seed: int = 5) -> dict[str, torch.Tensor]:
    """Of every axis of these parts: groups in another order, and units within each."""
    chance, out = torch.Generator().manual_seed(seed), dict[str, torch.Tensor]()
    for name, axis in places.axes.items():
        if name not in places.along or part_of(name) not in parts:
            continue
        each, groups = axis.units // axis.groups, torch.randperm(axis.groups, generator=chance)
        if kind_of(name) == "query":
            groups = out[name.removesuffix("query") + "key"]
        out[name] = torch.cat([g * each + torch.randperm(each, generator=chance) for g in groups])
    return out


def shuffled(folder: Path, out: Path, seed: int = 5) -> tuple[Path, set[str]]:
    """A copy in which all moves that may, and the parts that moved."""
    file, places = lw.Checkpoint(folder), places_of(folder)
    parts = {part_of(axis) for axis in places.along} - set(places.impossible())
    orders = random_orders(places, parts, seed)
    tensors = {name: reordered(file, places, name, orders).contiguous() for name in file}
    return models.save(out, tensors, json.loads((folder / "config.json").read_text())), parts


def reference_logits(folder: Path, auto: str) -> torch.Tensor:
    model = getattr(transformers, auto).from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
    )
    with torch.no_grad(), lifted():
        logits: torch.Tensor = model.double().eval()(TOKENS).logits
    return logits


@pytest.mark.parametrize(("name", "knob"), CASES)
def test_what_was_shuffled_is_found(name: str, knob: str, family: Any, tmp_path: Path) -> None:
    folder = family(name, knob)
    other, parts = shuffled(folder, tmp_path / "other")
    done = lw.align(other, folder, tmp_path / "out", progress=False)
    fixed = {part for part, rows in FIXED.items() if name in rows}
    fixed |= {"heads"} if name == "falcon" and lw.Checkpoint(folder).config["alibi"] else set()
    assert set(done.kept) == fixed
    assert set(done.moved) == parts
    assert all(share > 0 for part, share in done.moved.items() if part != "heads")
    assert done.before > 0.1
    assert done.after == 0
    got, want = models.load(tmp_path / "out"), models.load(folder)
    assert all(torch.equal(got[tensor], want[tensor]) for tensor in want)
    assert any(not torch.equal(models.load(other)[tensor], want[tensor]) for tensor in want)
    plain = lw.load(folder, dtype="float64")(TOKENS)
    moved = lw.load(other, dtype="float64")(TOKENS)
    assert (moved - plain).abs().max() <= 1e-12 * plain.abs().max()


@pytest.mark.parametrize("name", ROWS)
def test_transformers_sees_the_same_model(name: str, family: Any, tmp_path: Path) -> None:
    """Of the setting that says most: grouped heads, low ranks, groups of experts."""
    knobs = ROWS[name].variants()
    told = next((k for k in ("grouped", "groups", "low rank", "biased") if k in knobs), "")
    folder = family(name, told)
    other, _ = shuffled(folder, tmp_path / "other")
    want = reference_logits(folder, ROWS[name].auto)
    got = reference_logits(other, ROWS[name].auto)
    assert (got - want).abs().max() <= 1e-10 * want.abs().max()


@pytest.mark.parametrize("name", ["deepseek_v3", "gpt2", "gpt_oss", "olmo2", "phi3", "stablelm"])
def test_noise_over_it(name: str, family: Any, tmp_path: Path) -> None:
    """It is found all the same, and computes what it computed."""
    folder = family(name)
    other, _ = shuffled(folder, tmp_path / "shuffled")
    chance = torch.Generator().manual_seed(7)
    tensors = {
        tensor: value + 0.03 * torch.randn(value.shape, generator=chance) * value.abs().mean()
        for tensor, value in models.load(other).items()
    }
    config = json.loads((folder / "config.json").read_text())
    noisy = models.save(tmp_path / "noisy", tensors, config)
    done = lw.align(noisy, folder, tmp_path / "out", progress=False)
    assert done.after < 0.05 < 0.5 < done.before
    want = lw.load(noisy, dtype="float64")(TOKENS)
    got = lw.load(tmp_path / "out", dtype="float64")(TOKENS)
    assert (got - want).abs().max() <= 1e-12 * want.abs().max()


@pytest.mark.parametrize(("name", "part", "why"), [
    ("bloom", "heads", "heads', which may not move: each head has a slope"),
    ("xglm", "residual", "may not move: sinusoids"),
    ("llava", "residual", r"may not move: 'multi_modal_projector\.\S+' is not the decoder's"),
    ("gpt2", "experts", "family gpt2 has mlp, heads, residual only"),
    ("gpt_neox", "latents", "family gpt_neox has mlp, heads, residual only"),
])  # fmt: skip
def test_what_may_not_move(name: str, part: str, why: str, family: Any, tmp_path: Path) -> None:
    folder = family(name)
    with pytest.raises(ValueError, match=why):
        lw.align(folder, folder, tmp_path / "out", [part])
    assert not (tmp_path / "out").exists()


def test_refused(family: Any, tmp_path: Path) -> None:
    gpt2, out = family("gpt2"), tmp_path / "out"
    with pytest.raises(ValueError, match=r"of family gpt2, .* of gpt_neo; expected the same"):
        lw.align(gpt2, family("gpt_neo"), out)
    with pytest.raises(ValueError, match=r"is \[97, 30\] in one model, \[98, 30\] in another"):
        lw.align(gpt2, family("gpt2", vocab_size=98), out)
    tensors, config = models.load(gpt2), json.loads((gpt2 / "config.json").read_text())
    lacks = dict(tensors)
    name = next(n for n in lacks if n.endswith("h.1.mlp.c_fc.weight"))
    del lacks[name]
    with pytest.raises(ValueError, match=f"tensor '{name}' is missing"):
        lw.align(models.save(tmp_path / "lacks", lacks, config), gpt2, out)
    more = tensors | {"adapter.weight": torch.ones(3)}
    with pytest.raises(ValueError, match=r"'adapter\.weight' is none that family gpt2 accounts"):
        lw.align(models.save(tmp_path / "more", more, config), gpt2, out)
    strange = models.save(tmp_path / "strange", tensors, config | {"architectures": ["Strange"]})
    with pytest.raises(ValueError, match="architectures is 'Strange'"):
        lw.align(strange, strange, out)
    assert not out.exists()
