"""Edits committed to a new folder: exact, whole or not at all, everything else untouched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import (
    DTYPES,
    FAMILIES,
    KEPT,
    ablation,
    committed_hashes,
    file_hashes,
    general_factors,
    hashes,
    stored_as,
    transformers_logits,
)
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

Tiny = Callable[..., Path]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_committed_is_applied(tiny: Tiny, tmp_path: Path, name: str, dtype: str) -> None:
    source = stored_as(tiny(name), tmp_path / "in", dtype, shards=3 if dtype == "float16" else 1)
    model = lw.load(source)
    original = file_hashes(source)
    edits = {
        "plain": ablation(model),
        "mlp": ablation(model, writers="mlp", strength=0.5),
        "general": lw.edits.from_factors(model, general_factors(model)),
    }
    for label, edit in edits.items():
        before = hashes(model)
        done = edit.commit(source, tmp_path / label, progress=False)
        edit.apply(model)
        after = hashes(model)
        assert committed_hashes(tmp_path / label) == after
        assert all(pair == (before[n], after[n]) for n, pair in done.changed.items())
        different = {n for n, h in after.items() if n in before and h != before[n]}
        assert different <= set(done.changed)  # rounding may have swallowed the change of a bias
        fresh = lw.load(tmp_path / label)
        tokens = random_tokens(2, 8)
        assert same(fresh(tokens), model(tokens))
        edit.revert(model)
    assert file_hashes(source) == original


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_agrees(tiny: Tiny, tmp_path: Path, name: str, dtype: str) -> None:
    source = stored_as(tiny(name), tmp_path / "in", dtype, shards=2)
    edit = ablation(lw.load(source))
    edit.commit(source, tmp_path / "out", progress=False)
    tokens = random_tokens(2, 12)
    ours = lw.load(tmp_path / "out", dtype="float32")(tokens)
    theirs = transformers_logits(tmp_path / "out", tokens, torch.float32)
    assert relative_error(ours, theirs) < 1e-5
    base = transformers_logits(source, tokens, torch.float32)
    assert relative_error(theirs, base) > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_left_along_the_direction(tiny: Tiny, tmp_path: Path, dtype: str) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", dtype)
    model = lw.load(source)
    edit = ablation(model)
    edit.commit(source, tmp_path / "out", progress=False)
    v = edit.factors()["embed.W_E"]["V"][0]
    before, after = (
        load_file(source / "model.safetensors"),
        load_file(tmp_path / "out/model.safetensors"),
    )
    for writer in model.writers():
        w, base = after[writer["weight"]].double(), before[writer["weight"]].double()
        along = v @ w if writer["residual_axis"] == 0 else w @ v
        assert along.norm() / base.norm() < KEPT[dtype]
        if writer["bias"]:
            base = before[writer["bias"]].double()
            # A handful of numbers: their rounding errors do not average out.
            assert (v @ after[writer["bias"]].double()).abs() / base.norm() < 4 * KEPT[dtype]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_empty_edit_is_a_copy(tiny: Tiny, tmp_path: Path, name: str, shards: int) -> None:
    source = stored_as(tiny(name), tmp_path / "in", "bfloat16", shards)
    done = lw.edits.from_factors(lw.load(source), {}).commit(
        source, tmp_path / "out", progress=False
    )
    assert file_hashes(tmp_path / "out") == file_hashes(source)
    assert (done.changed, done.added) == ({}, None)


def test_untouched_files_headers_and_tensors_are_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float16", shards=4)
    (source / "chat_template.jinja").write_text("{{ messages }}")
    edit = ablation(lw.load(source), writers="blocks.1.mlp.W_out")
    done = edit.commit(source, tmp_path / "out", progress=False)
    assert list(done.changed) == ["model.layers.1.mlp.down_proj.weight"]
    before, after = file_hashes(source), file_hashes(tmp_path / "out")
    assert set(after) - set(before) == {"lenswright.json", "README.md"}
    different = [name for name in before if before[name] != after[name]]
    assert len(different) == 1  # one shard
    old, new = (source / different[0]).read_bytes(), (tmp_path / "out" / different[0]).read_bytes()
    with safe_open(source / different[0], "pt") as reader:
        assert reader.metadata() == {"format": "pt"}
    length = 8 + int.from_bytes(old[:8], "little")
    assert old[:length] == new[:length]


def test_names_without_the_first_part(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "float32")
    tensors = load_file(source / "model.safetensors")
    bare = {n.removeprefix("transformer."): t for n, t in tensors.items()}
    save_file(bare, source / "model.safetensors", {"format": "pt"})
    model = lw.load(source)
    edit = ablation(model)
    edit.commit(source, tmp_path / "out", progress=False)
    edit.apply(model)
    tokens = random_tokens(2, 6)
    assert same(lw.load(tmp_path / "out")(tokens), model(tokens))
    theirs = transformers_logits(tmp_path / "out", tokens, torch.float32)
    assert relative_error(model(tokens), theirs) < 1e-5


def test_record_tells_every_step(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "0", "float32")
    edits = []
    for i, writers in enumerate(("attention", "mlp")):
        edits.append(ablation(lw.load(tmp_path / f"{i}"), writers=writers))
        done = edits[-1].commit(tmp_path / f"{i}", tmp_path / f"{i + 1}", progress=False)
    assert source.is_dir()
    record = json.loads((tmp_path / "2/lenswright.json").read_text())
    assert record["format"] == "lenswright record 1"
    assert [step["edit"] for step in record["steps"]] == [edit.id for edit in edits]
    assert record["steps"][1]["provenance"]["writers"] == ["mlp"]
    assert record["steps"][1]["tensors"] == {
        name: {"before": before, "after": after} for name, (before, after) in done.changed.items()
    }


def test_threads_and_repetition_change_no_byte(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "bfloat16")
    edit = lw.edits.from_factors(lw.load(source), general_factors(lw.load(source)))
    threads = torch.get_num_threads()
    seen = []
    try:
        for i, count in enumerate((1, 2, 5)):
            torch.set_num_threads(count)
            edit.commit(source, tmp_path / f"{i}", progress=False)
            seen.append(file_hashes(tmp_path / f"{i}"))
    finally:
        torch.set_num_threads(threads)
    assert seen[0] == seen[1] == seen[2]


def test_saved_edit_commits_to_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    source = tiny("llama")
    edit = ablation(lw.load(source))
    edit.save(tmp_path / "edit.safetensors")
    edit.commit(source, tmp_path / "a", progress=False)
    lw.edits.load(tmp_path / "edit.safetensors").commit(source, tmp_path / "b", progress=False)
    assert file_hashes(tmp_path / "a") == file_hashes(tmp_path / "b")


def test_progress_and_cancelling(tiny: Tiny, tmp_path: Path) -> None:
    source = tiny("llama")
    edit = ablation(lw.load(source))
    seen: list[tuple[int, int]] = []
    edit.commit(source, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    size = sum(t.nbytes for t in load_file(source / "model.safetensors").values())
    assert seen[-1] == (size, size)
    with pytest.raises(lw._files.Cancelled):
        edit.commit(source, tmp_path / "stopped", progress=lambda done, total: False)
    with pytest.raises(ZeroDivisionError):
        edit.commit(source, tmp_path / "stopped", progress=lambda done, total: bool(1 // 0))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["out"]
