"""GGUF control vectors, read by `gguf` and applied as llama.cpp applies them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch

import lenswright as lw
from editing import direction
from lenswright.verifying.verify import relative_error
from support import random_tokens

Tiny = Callable[..., Path]


def read(path: Path) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {t.name: torch.tensor(t.data.copy()) for t in reader.tensors}


def llama_cpp(model: lw.Model, tensors: dict[str, torch.Tensor], tokens: torch.Tensor):
    """`direction.N` on the output of block N, as llama_adapter_cvec::apply_to has it (N from 1)."""
    hooks = [
        (f"blocks.{name.removeprefix('direction.')}.hook_resid_post", lambda x, hook, v=v: x + v)
        for name, v in tensors.items()
    ]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)


def test_it_acts_where_the_edit_acts(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(tiny("gpt2"), dtype="float64")
    v, u, tokens = direction(model), direction(model, 1), random_tokens(2, 7)
    path = lw.edits.save_control_vector(tmp_path / "v.gguf", {2: v, 3: u}, model, strength=0.5)
    fields, tensors = read(path)
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "gpt2"
    assert fields["controlvector.layer_count"] == 3
    assert sorted(tensors) == ["direction.1", "direction.2"]
    edit = lw.edits.add(model, v, 2, strength=0.5) + lw.edits.add(model, u, 3, strength=0.5)
    with model.edited(edit):
        assert relative_error(llama_cpp(model, {}, tokens), model(tokens)) == 0
        expected = model(tokens)
    assert relative_error(llama_cpp(model, tensors, tokens), expected) < 1e-6
    assert relative_error(model(tokens), expected) > 1e-3


def test_bad_control_vectors(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(tiny("llama"))
    v = torch.ones(30)
    path = tmp_path / "v.gguf"
    for layer in (0, 1, 4):
        with pytest.raises(IndexError, match=f"vectors has layer {layer}, expected 2 to 3"):
            lw.edits.save_control_vector(path, {layer: v}, model)
    for vectors, message in (
        ({}, "vectors is empty"), ({2: v[:29]}, r"shape \[29\], expected \[30\]"),
        ({2: v / 0}, "not finite"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lw.edits.save_control_vector(path, vectors, model)
    assert not list(tmp_path.iterdir())
    lw.edits.save_control_vector(path, {2: v}, model)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        lw.edits.save_control_vector(path, {2: 2 * v}, model)
    assert path.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["v.gguf"]
