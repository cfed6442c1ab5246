"""Edits of any family as values: saved and loaded, described, tried without an `Edit`, reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import direction, file_hashes, stored_as
from editing_families import Family, edits_of, prepared
from families import ROWS
from lenswright.editing.ablation import ablation_taps
from lenswright.editing.baking import bake
from lenswright.tapped import run_taps
from lenswright.verifying.verify import relative_error
from support import random_tokens


@pytest.mark.parametrize(("name", "knob"), [
    ("qwen2_moe", ""), ("gpt_oss", ""), ("bloom", ""), ("opt", "350m"), ("gemma2", ""),
])  # fmt: skip
def test_save_and_load(family: Family, tmp_path: Path, name: str, knob: str) -> None:
    source = family(name, knob)
    model = lw.load(source)
    for label, edit in edits_of(model).items():
        path = tmp_path / f"{label}.safetensors"
        edit.save(path)
        again = lw.edits.load(path)
        assert (again.id, again.provenance, again.bases) == (edit.id, edit.provenance, edit.bases)
        assert again.describe() == edit.describe()
        edit.commit(source, tmp_path / f"{label}-a", progress=False)
        again.commit(source, tmp_path / f"{label}-b", progress=False)
        assert file_hashes(tmp_path / f"{label}-a") == file_hashes(tmp_path / f"{label}-b")
    # One direction, written once for all that share it.
    stored = load_file(tmp_path / "plain.safetensors")
    assert len(stored) <= 2 * len({w["norm"] for w in model.writers()})


def test_what_is_said_of_norms_in_between(family: Family) -> None:
    model = lw.load(family("gemma2"))
    edit = lw.edits.ablate(model, direction(model))
    what = {line["writer"]: line["what"] for line in edit.describe()}
    assert "as the gain of ln1_post lets it through" in what["blocks.0.attn.W_O"]
    assert "as the gain of ln2_post lets it through" in what["blocks.1.mlp.W_out"]
    assert "gain" not in what["embed.W_E"]
    assert "norms stand behind the branches" in edit.provenance["remarks"][0]
    model = lw.load(family("opt", "350m"))
    what = {w["writer"]: w["what"] for w in lw.edits.ablate(model, direction(model)).describe()}
    assert "before the norm of the sum" in what["blocks.0.attn.W_O"]
    assert "norm" not in what["embed.W_proj"]
    assert "embed.W_E" not in what


def test_files_of_the_first_version_are_read(family: Family, tmp_path: Path) -> None:
    """They stored factors once for each writer."""
    model = lw.load(family("qwen2_moe"))
    edit = lw.edits.ablate(model, direction(model))
    edit.save(tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", "pt") as reader:
        told = json.loads(reader.metadata()["edit"])
    stored = load_file(tmp_path / "new.safetensors")
    for part in told["parts"]:
        first = part.pop("same_as", part["writer"])
        for name in "UV":
            stored[f"{part['writer']}.{name}"] = stored[f"{first}.{name}"].clone()
    former = {"format": "lenswright edit 1", "edit": json.dumps(told)}
    save_file(stored, tmp_path / "old.safetensors", former)
    assert lw.edits.load(tmp_path / "old.safetensors").id == edit.id
    save_file(stored, tmp_path / "no.safetensors", former | {"format": "lenswright edit 3"})
    with pytest.raises(lw.CheckpointError, match="is no edit"):
        lw.edits.load(tmp_path / "no.safetensors")


@pytest.mark.parametrize("name", ROWS)
def test_ablation_without_an_edit_is_the_edit(family: Family, tmp_path: Path, name: str) -> None:
    """What selects directions takes out what the edit will."""
    model = lw.load(prepared(family, tmp_path, (name, "", False)))
    tokens = random_tokens(3, 7)
    units = torch.stack([direction(model, i) / direction(model, i).norm() for i in range(2)])
    many = torch.cat([units, torch.zeros_like(units[:1])])
    rows = tokens.tolist()
    logits = run_taps(model, ablation_taps(model, rows, many), rows, "all")
    assert logits is not None
    with model.edited(lw.edits.ablate(model, units, rows=True)):
        assert relative_error(logits[:2], model(tokens[:2])) < 1e-12
    assert relative_error(logits[2:], model(tokens[2:])) < 1e-12


@pytest.mark.parametrize(("name", "fused"), [
    ("gpt_oss", True), ("qwen3_vl_moe", False), ("gemma3", False), ("bloom", False),
])  # fmt: skip
def test_baking_tells_of_every_writer(
    family: Family, tmp_path: Path, name: str, fused: bool
) -> None:
    model = lw.load(stored_as(family(name, "", fused=fused), tmp_path / "in", "float32"))
    edit = lw.edits.ablate(model, direction(model))
    baked = bake(model, edit, tmp_path / "out", random_tokens(2, 7).tolist())
    assert [row["name"] for row in baked.writers] == [w["name"] for w in model.writers()]
    assert all(row["along_after"] < 4e-7 < row["along_before"] for row in baked.writers)
    assert baked.hashes_restored
    assert baked.bytes_equal
    assert baked.untouched_equal
    assert max(baked.differences.values()) <= 1e-5
