"""Edits committed to a new folder: exact, whole or not at all, everything else untouched."""

from __future__ import annotations

import json
import shutil
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
    committed_hashes,
    file_hashes,
    general_factors,
    hashes,
    stored_as,
)
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

Tiny = Callable[..., Path]


def ablation(model: lw.Model, **settings: object) -> lw.edits.Edit:
    generator = torch.Generator().manual_seed(7)
    return lw.edits.ablate(model, torch.randn(model.cfg.d_model, generator=generator), **settings)  # type: ignore[arg-type]


def transformers_logits(folder: Path, tokens: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    import transformers

    hf, facts = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    assert not facts["missing_keys"], facts
    assert not facts["unexpected_keys"], facts
    with torch.no_grad():
        return hf(tokens).logits


# --- applied = committed ---
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


# --- everything else ---
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


def test_untying_adds_the_unembedding(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama-grouped"), tmp_path / "in", "bfloat16", shards=2)
    text = (source / "config.json").read_text()
    assert '"tie_word_embeddings": true' in text
    done = ablation(lw.load(source), writers="token_embedding").commit(
        source, tmp_path / "out", False
    )
    assert done.added == "lm_head.weight"
    changed = text.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false')
    assert (tmp_path / "out/config.json").read_text() == changed
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    old = json.loads((source / "model.safetensors.index.json").read_text())
    place = old["weight_map"]["model.embed_tokens.weight"]
    assert index["weight_map"] == old["weight_map"] | {"lm_head.weight": place}
    assert index["metadata"]["total_size"] == old["metadata"]["total_size"] + 97 * 40 * 2
    head = load_file(tmp_path / "out" / place)["lm_head.weight"]
    assert same(head, load_file(source / place)["model.embed_tokens.weight"])
    assert lw.load(tmp_path / "out").spec["tied"] is False


def test_untying_where_the_key_is_absent(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "float32")
    config = json.loads((source / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    for i, text in enumerate((json.dumps(config, indent=2) + "\n", json.dumps(config))):
        (source / "config.json").write_text(text)
        ablation(lw.load(source)).commit(source, tmp_path / f"{i}", progress=False)
        written = (tmp_path / f"{i}/config.json").read_text()
        assert json.loads(written) == config | {"tie_word_embeddings": False}
        assert len(written) - len(text) < 40


def test_a_stored_copy_of_the_tied_embedding_becomes_the_unembedding(
    tiny: Tiny, tmp_path: Path
) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "float32")
    tensors = load_file(source / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    model = lw.load(source)
    edit = ablation(model)
    assert edit.commit(source, tmp_path / "out", progress=False).added is None
    edit.apply(model)
    tokens = random_tokens(1, 6)
    assert same(lw.load(tmp_path / "out")(tokens), model(tokens))
    assert (
        relative_error(model(tokens), transformers_logits(tmp_path / "out", tokens, torch.float32))
        < 1e-5
    )


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


# --- whole or not at all ---
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
