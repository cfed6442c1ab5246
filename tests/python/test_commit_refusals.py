"""Commits that are refused before a byte is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import (
    ablation,
    file_hashes,
    stored_as,
)

Tiny = Callable[..., Path]


def test_outputs_that_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    edit = ablation(lw.load(source))
    before = file_hashes(source)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there"):
        edit.commit(source, tmp_path / "there")
    with pytest.raises(ValueError, match="is the input"):
        edit.commit(source, source)
    with pytest.raises(ValueError, match="lies inside the input"):
        edit.commit(source, source / "out")
    with pytest.raises(FileNotFoundError):
        edit.commit(source, tmp_path / "no" / "out")
    with pytest.raises(FileNotFoundError):
        edit.commit(tmp_path / "missing", tmp_path / "out")
    assert file_hashes(source) == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["in", "there"]


def test_inputs_that_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    edit = ablation(lw.load(source))
    cases: list[tuple[str, Path, type[Exception], str]] = []

    def case(label: str, kind: type[Exception], message: str) -> Path:
        folder = shutil.copytree(source, tmp_path / label)
        cases.append((label, folder, kind, message))
        return folder

    case("bare", ValueError, "config.json").joinpath("config.json").unlink()
    changed = case("changed", ValueError, "has SHA-256 .* but the edit was made for")
    name = "model.layers.0.mlp.down_proj.weight"
    tensors = load_file(changed / "model.safetensors")
    save_file(tensors | {name: tensors[name] + 1}, changed / "model.safetensors")
    missing = case("missing", lw.CheckpointError, name)
    del tensors[name]
    save_file(tensors, missing / "model.safetensors")
    integers = case("integers", lw.CheckpointError, "type I32 cannot be edited")
    save_file(
        tensors | {name: torch.ones(30, 37, dtype=torch.int32)}, integers / "model.safetensors"
    )
    shape = case("shape", lw.CheckpointError, "shape is not what config.json asks for")
    save_file(tensors | {name: torch.ones(31, 37)}, shape / "model.safetensors")
    cut = case("cut", lw.CheckpointError, "model.safetensors")
    raw = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(raw[:-1])
    cases.append(("other", tiny("gpt2"), ValueError, "has SHA-256"))
    cases.append(("wide", tiny("llama-grouped"), ValueError, r"has shape \[1, 30\]"))
    for label, folder, kind, message in cases:
        with pytest.raises(kind, match=message):
            edit.commit(folder, tmp_path / f"{label}-out", progress=False)
        assert not (tmp_path / f"{label}-out").exists()
    assert not list(tmp_path.glob("*-out")) + list(tmp_path.glob(".*"))


def test_rows_cannot_be_committed(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(tiny("llama"))
    edit = lw.edits.ablate(model, torch.eye(30)[:2], rows=True)
    with pytest.raises(
        ValueError, match="2 edits, one for each row of a batch, which commit cannot"
    ):
        edit.commit(tiny("llama"), tmp_path / "out")
