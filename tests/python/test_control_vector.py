"""GGUF control vectors, read by `gguf` and applied as llama.cpp applies them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    assert fields["controlvector.layer_count"] == 2
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


LENGTH = struct.pack("<Q", len("controlvector"))


class Vector:
    """What repeng's ControlVector is: a type of model, and arrays by block."""

    def __init__(self, model_type: str, directions: dict[int, Any]) -> None:
        self.model_type, self.directions = model_type, directions


def repeng_writes(path: Path, vector: Vector, blocks: list[int]) -> Path:
    """`export_gguf` by its format: a uint32 that counts directions, last block first."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", vector.model_type)
    writer.add_uint32("controlvector.layer_count", len(vector.directions))
    for block in blocks:
        writer.add_tensor(f"direction.{block}", vector.directions[block])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def repeng_reads(path: Path) -> dict[int, torch.Tensor]:
    """`import_gguf` by its format: the number behind the first dot of every direction."""
    tensors = read(path)[1]
    return {int(name.split(".")[1]): t for name, t in tensors.items() if name[:10] == "direction."}


def repeng_steers(
    model: lw.Model, directions: Any, tokens: torch.Tensor, coeff: float, normalize: bool
) -> torch.Tensor:
    """`set_control`: h + coeff · direction on the output of a block, its norm kept if asked."""

    def controlled(vector: torch.Tensor) -> Any:
        def hook(h: torch.Tensor, hook: object) -> torch.Tensor:
            changed = h + coeff * vector
            if normalize:
                changed = (
                    changed / changed.norm(dim=-1, keepdim=True) * h.norm(dim=-1, keepdim=True)
                )
            return changed

        return hook

    hooks = [
        (f"blocks.{block}.hook_resid_post", controlled(torch.as_tensor(vector).double()))
        for block, vector in directions.items()
    ]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)


@pytest.mark.parametrize("blocks", [[2, 1], [2, 1, 0], [1]])
def test_repeng_there_and_back(tiny: Tiny, tmp_path: Path, blocks: list[int]) -> None:
    model, tokens = lw.load(tiny("gpt2"), dtype="float64"), random_tokens(2, 7)
    directions = {block: direction(model, block).float().numpy() for block in blocks}
    vector = Vector("gpt2", directions)
    path = repeng_writes(tmp_path / "repeng.gguf", vector, blocks)
    for source in (path, vector):
        found = lw.edits.load_control_vector(source, model)
        assert sorted(found) == sorted(block + 1 for block in blocks)
        for block in blocks:
            assert torch.equal(found[block + 1].float(), torch.as_tensor(directions[block]))
    for coeff, normalize in ((1.5, False), (-0.7, True)):
        expected = repeng_steers(model, directions, tokens, coeff, normalize)
        steering = lw.steering.from_control_vector(path, coeff, normalize, model)
        with model.steered(steering):
            assert relative_error(model(tokens), expected) < 1e-12
        assert relative_error(model(tokens), expected) > 1e-3
    steering = lw.steering.from_control_vector(vector, 1.5)
    if 0 in blocks:  # llama.cpp has none for block 0
        with pytest.raises(IndexError, match="layer 1, expected 2 to 3"):
            steering.save_control_vector(tmp_path / "ours.gguf", model)
        return
    again = repeng_reads(steering.save_control_vector(tmp_path / "ours.gguf", model))
    assert sorted(again) == sorted(blocks)
    expected = repeng_steers(model, directions, tokens, 1.5, False)
    assert relative_error(repeng_steers(model, again, tokens, 1.0, False), expected) < 1e-6
    assert (
        relative_error(llama_cpp(model, read(tmp_path / "ours.gguf")[1], tokens), expected) < 1e-6
    )


def test_steerings_that_are_no_control_vectors(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(tiny("llama"))
    v, path = direction(model), tmp_path / "v.gguf"
    for steering, why in (
        (lw.steering.project(v, layers=2), "depends on the token"),
        (lw.steering.add(v, 0.1, unit="token", layers=2), "depends on the token"),
        (lw.steering.add(v, 1.0, layers=2, at="mlp_out"), "acts at mlp_out"),
        (lw.steering.add(v, 1.0, layers=2, positions="decode"), "at some positions only"),
        (lw.steering.add(v, 1.0, layers=2, preserve_norm=True), "keeps norms"),
    ):
        with pytest.raises(ValueError, match=why):
            steering.save_control_vector(path, model)
    assert not path.exists()
    both = lw.steering.add(v, 2.0, layers=2) + 0.5 * lw.steering.add(
        v, 1.0, layers=1, at="resid_post"
    )
    both.save_control_vector(path, model)
    unit = v / v.norm()
    found = lw.edits.load_control_vector(path, model)
    assert torch.allclose(found[2], 2.5 * unit.double(), atol=1e-6)


def test_files_that_are_no_control_vectors(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(tiny("llama"))
    good = lw.edits.save_control_vector(tmp_path / "v.gguf", {2: direction(model)}, model)
    raw = good.read_bytes()
    bad = tmp_path / "bad.gguf"
    for size in range(len(raw) - 8):  # cut before the padding, the error names the file
        if size % 7 and size < len(raw) - 40:
            continue
        bad.write_bytes(raw[:size])
        with pytest.raises((lw.CheckpointError, ValueError), match=r"bad\.gguf"):
            lw.edits.load_control_vector(bad)
    for old, new, message in (
        (b"GGUF", b"GGML", "begins with"), (struct.pack("<I", 3), struct.pack("<I", 1), "version"),
        (LENGTH + b"controlvector", LENGTH + b"controlvectox", "architecture"),
        (b"direction.1", b"direction.x", "expected direction.N"),
    ):  # fmt: skip
        assert old in raw
        bad.write_bytes(raw.replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            lw.edits.load_control_vector(bad)
    other = lw.load(tiny("gpt2"))
    with pytest.raises(ValueError, match="made for another model"):
        lw.edits.load_control_vector(Vector("x", {1: torch.ones(7)}), other)
    with pytest.raises(ValueError, match="made for another model"):
        lw.edits.load_control_vector(Vector("x", {9: torch.ones(30)}), model)
    with pytest.raises(ValueError, match="not finite"):
        lw.edits.load_control_vector(Vector("x", {1: torch.full((30,), torch.nan)}), model)
    with pytest.raises(ValueError, match="holds no direction"):
        lw.edits.load_control_vector(Vector("x", {}), model)
    with pytest.raises(FileNotFoundError, match="no GGUF file"):
        lw.edits.load_control_vector(tmp_path / "missing.gguf")
    with pytest.raises(TypeError, match=r"expected a \.gguf file or repeng's"):
        lw.edits.load_control_vector(3)


def test_hidden_states_of_the_last_block_stand_behind_the_norm(tiny: Tiny) -> None:
    """repeng looks for its last direction there, and adds it before the norm."""
    from lenswright.reference import Reference

    folder, tokens = tiny("llama"), random_tokens(1, 6)
    model = lw.load(folder, dtype="float64")
    reference = Reference(folder)
    with torch.no_grad():
        states = reference.model(tokens, output_hidden_states=True).hidden_states
    ours = model.capture(tokens, ["blocks.1.hook_resid_post", "blocks.2.hook_resid_post"])
    assert relative_error(ours["blocks.1.hook_resid_post"], states[2]) < 1e-6
    assert relative_error(ours["blocks.2.hook_resid_post"], states[3]) > 1e-2
