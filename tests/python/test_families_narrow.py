"""Every family computed in 16 bits: no farther from float64 than `transformers` in 16 bits is."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from families import ROWS
from lenswright.reference import Reference
from support import random_tokens

# How much farther they may be: both are one drawing of roundings.
MORE = 1.5


def narrowed(folder, out, dtype):
    """The same checkpoint with its float32 tensors rounded."""
    out.mkdir()
    rounded = {
        name: value.to(dtype) if value.dtype == torch.float32 else value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(rounded, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_bytes((folder / "config.json").read_bytes())
    return out


def off(logits, exact):
    """How far the first quarter of the tokens are from what is exact, the nearest first.

    Rounding turns some choices of a router, here and there alike: such a token is far off, and so
    are those that look at it.
    """
    return ((logits.double() - exact).norm(dim=-1) / exact.norm(dim=-1)).quantile(0.25).item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ROWS)
def test_sixteen_bits(family, name, dtype, tmp_path, record_property):
    import transformers

    folder, tokens = narrowed(family(name), tmp_path / "narrow", dtype), random_tokens(3, 13)
    exact = Reference(folder).points(tokens, ["logits"])["logits"]
    peer = getattr(transformers, ROWS[name].auto).from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    )
    with torch.no_grad():
        theirs = off(peer.eval()(tokens).logits, exact)
    model = lw.load(folder, dtype=dtype)
    logits = model(tokens)
    assert logits.dtype == dtype
    ours = off(logits, exact)
    record_property("ours, transformers", f"{ours:.1e}, {theirs:.1e}")
    assert 0 < ours <= MORE * theirs, (ours, theirs)
