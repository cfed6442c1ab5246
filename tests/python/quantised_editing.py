"""Quantised checkpoints to be edited, and factors to edit them by."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

import lenswright as lw
import quantised
from editing_families import Family

MXFP4_SIZES = {"hidden_size": 64, "intermediate_size": 96}
CASES = ["llama", "qwen3_moe", "qwen3_moe fused", "deepseek_v3", "gpt_oss", "gpt2"]


def quantised_case(family: Family, room: Path, case: str, shards: int = 1, knob: str = "") -> Path:
    """A quantised checkpoint of one of `CASES`."""
    name, _, layout = case.partition(" ")
    target = room / f"{name}{layout}-quantised"
    if name == "gpt_oss":
        folder = quantised.mxfp4(family(name, knob, **MXFP4_SIZES), target)
    else:
        folder = quantised.fp8(family(name, knob), target)
    if layout:
        folder = quantised.fused(folder, room / f"{name}-fused")
    if shards > 1:
        folder = quantised.sharded(folder, room / f"{name}-sharded", shards)
    return folder


def factors_for(model: lw.Model, seed: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    """Every factor of every writer, of rank 2, near the identity; sizes from canonical weights."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    factors = {}
    for writer in model.writers():
        out, inputs = model.weight(writer["name"]).shape
        if writer["kind"] in ("token_embedding", "positional_embedding"):
            out, inputs = inputs, out
        own = {
            "S": 1 + 0.1 * draw(out), "U": draw(2, out) / out**0.5, "V": draw(2, out) / out**0.5,
            "C": 1 + 0.1 * draw(inputs), "A": 0.1 * draw(2, out), "B": 0.3 * draw(2, inputs),
        }  # fmt: skip
        if writer["bias"]:
            own["shift"] = 0.1 * draw(out)
        factors[writer["name"]] = own
    return factors


def stored_in(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder, of one file or several."""
    return {n: t for f in sorted(folder.glob("*.safetensors")) for n, t in load_file(f).items()}
