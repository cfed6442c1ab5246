"""Edits of tensors by name, where nobody knows the family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import committed_hashes, direction, file_hashes, stored_as
from editing_families import Family
from support import same

Tiny = Callable[..., Path]


def unknown(source: Path) -> Path:
    """The same checkpoint of a family nobody has heard of."""
    config = json.loads((source / "config.json").read_text())
    config |= {"model_type": "zebra", "architectures": ["ZebraForCausalLM"]}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"[Zz]ebra"):
        lw.load(source)
    return source


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_bytes_as_in_a_known_family(tiny: Tiny, tmp_path: Path, dtype: str) -> None:
    known = stored_as(tiny("llama"), tmp_path / "known", dtype, shards=2)
    strange = unknown(stored_as(tiny("llama"), tmp_path / "strange", dtype, shards=2))
    v = direction(lw.load(known))
    writers = ["*.o_proj.weight", "*.down_proj.weight", "model.embed_tokens.weight"]
    edit = lw.edits.ablate_tensors(strange, v, writers[1:], strength=0.7)
    attention = lw.edits.ablate_tensors(strange, v, writers[0], strength=0.7, axis="rows")
    before = file_hashes(strange)
    done = (edit + attention).commit(strange, tmp_path / "out", progress=False)
    lw.edits.ablate(lw.load(known), v, strength=0.7).commit(known, tmp_path / "k", progress=False)
    assert committed_hashes(tmp_path / "out") == committed_hashes(tmp_path / "k")
    assert len(done.changed) == 7
    assert file_hashes(strange) == before
    record = json.loads((tmp_path / "out/lenswright.json").read_text())
    assert "nothing was tried" in str(record["steps"][0]["provenance"])
    assert (tmp_path / "out/config.json").read_bytes() == (strange / "config.json").read_bytes()


def test_conv1d_biases_and_experts(family: Family, tmp_path: Path) -> None:
    source = stored_as(family("gpt_oss", "", fused=True), tmp_path / "in", "float32")
    model = lw.load(source)
    v = direction(model)
    expected = lw.edits.ablate(model, v, writers="expert")
    expected.commit(source, tmp_path / "known", progress=False)
    strange = unknown(source)
    names = ["*.experts.down_proj", "*.experts.down_proj_bias"]
    edit = lw.edits.ablate_tensors(strange, v, names, axis="columns")
    edit.commit(strange, tmp_path / "out", progress=False)
    assert committed_hashes(tmp_path / "out") == committed_hashes(tmp_path / "known")
    lines = edit.describe()
    assert lines[0]["writer"].endswith("]")
    left = {line["writer"]: line["what"] for line in lines if not line["edited"]}
    assert "model.norm.weight" in left
    assert "not among the writers asked for" in left["lm_head.weight"]


def test_it_is_saved_and_never_tried(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    model = lw.load(source)
    edit = lw.edits.ablate_tensors(source, direction(model), "*.down_proj.weight")
    assert "nothing was tried" in edit.provenance["remarks"][0]
    edit.save(tmp_path / "edit.safetensors")
    again = lw.edits.load(tmp_path / "edit.safetensors")
    assert (again.id, again.bases) == (edit.id, edit.bases)
    again.commit(source, tmp_path / "out", progress=False)
    with model.edited(edit), pytest.raises(ValueError, match="and committed, not tried"):
        model(torch.tensor([[1, 2]]))
    edit.apply(model)  # the family is known after all
    applied = model.parameters()
    for name, tensor in load_file(tmp_path / "out/model.safetensors").items():
        assert same(tensor, applied[name])
    edit.revert(model)


def test_a_changed_or_other_checkpoint_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    source = unknown(stored_as(tiny("llama"), tmp_path / "in", "float32"))
    edit = lw.edits.ablate_tensors(source, torch.ones(30), "*.down_proj.weight")
    tensors = load_file(source / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    for change, kind, message in (
        (tensors[name] + 1, ValueError, "has SHA-256"),
        (torch.ones(30, 38), lw.CheckpointError, "not what the edit was made for"),
        (torch.ones(30, 37, dtype=torch.int32), lw.CheckpointError, "type I32 cannot be edited"),
    ):
        save_file(tensors | {name: change}, source / "model.safetensors")
        with pytest.raises(kind, match=message):
            edit.commit(source, tmp_path / "out", progress=False)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"writers": "*.o_prj.weight"}, "matches no writer"),
        ({"writers": "all"}, "nobody knows which of them write"),
        ({"writers": "*.o_proj.weight"}, "either axis may lie along the residual"),
        ({"writers": "*.q_proj.weight", "axis": "up"}, "axis is 'up'"),
        (
            {"writers": "*.down_proj.weight", "axis": "columns"},
            r"has shape \[30, 37\], expected one",
        ),
        ({"writers": "*.down_proj.weight", "direction": torch.ones(31)}, r"to be 31"),
        ({"writers": "*.down_proj.weight", "direction": torch.zeros(30)}, "direction is zero"),
        ({"writers": "*.down_proj.weight", "strength": float("nan")}, "strength is nan"),
    ],
)
def test_bad_calls(tiny: Tiny, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lw.edits.ablate_tensors(tiny("llama"), **({"direction": torch.ones(30)} | arguments))
