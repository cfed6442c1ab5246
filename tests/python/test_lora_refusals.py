"""Adapters that are no edits, and edits that are no adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import lenswright as lw
from edit_methods import directions
from editing import direction, stored_as
from editing_families import Family


def test_adapters_that_are_no_edits(family: Family, tmp_path: Path) -> None:
    model = lw.load(stored_as(family("llama"), tmp_path / "in", "float32"))
    folder = lw.edits.ablate(model, direction(model), writers="mlp").to_lora(tmp_path / "a").folder
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")

    def refused(message: str, kind: Any = ValueError) -> None:
        with pytest.raises(kind, match=message):
            lw.edits.from_lora(model, folder)

    for change, message in (
        ({"peft_type": "IA3"}, "peft_type is 'IA3', expected 'LORA'"),
        ({"use_dora": True}, "use_dora is True, which no edit is"),
    ):
        (folder / "adapter_config.json").write_text(json.dumps(config | change))
        refused(message)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = next(iter(tensors))
    for changed, message in (
        ({name.replace("mlp.down_proj", "self_attn.q_proj"): 0, name.replace(
            "mlp.down_proj", "self_attn.q_proj").replace("_A", "_B"): 0}, "does not write"),
        ({name: tensors[name][:, :-1]}, "blocks.0.mlp.W_out"),
        ({"base_model.model.x.weight": 0}, "is no factor of LoRA"),
    ):  # fmt: skip
        filled = {n: tensors[name] if isinstance(t, int) else t for n, t in changed.items()}
        whole = {n: t.clone().contiguous() for n, t in (tensors | filled).items()}
        save_file(whole, folder / "adapter_model.safetensors")
        refused(message)
    (folder / "adapter_config.json").unlink()
    refused("has no adapter_config.json", FileNotFoundError)


def test_what_no_adapter_can_hold(family: Family, tmp_path: Path) -> None:
    def refused(name: str, message: str, knob: str = "", **given: Any) -> None:
        model = lw.load(family(name, knob))
        edit = lw.edits.ablate(model, direction(model), **given)
        with pytest.raises(ValueError, match=message):
            edit.to_lora(tmp_path / "adapter")
        assert not list(tmp_path.iterdir())

    refused("gpt2", "tensor is the unembedding's too, which only a commit unties")
    refused(
        "gpt_oss",
        "cannot hold '.*experts.down_proj', which has none",
        writers=["attention", "expert"],
    )
    refused("bloom", "the bias of a norm is not a matrix", writers="embedding_norm")
    refused("gpt2", "has none; expected edit.restrict", knob="untied")
    model = lw.load(family("llama"))
    rows = lw.edits.ablate(model, directions(model), rows=True)
    with pytest.raises(ValueError, match=r"2 edits, one for each row; expected edit\.row"):
        rows.to_lora(tmp_path / "adapter")
    edit = lw.edits.ablate(model, direction(model))
    with pytest.raises(ValueError, match="truncate is 0"):
        edit.to_lora(tmp_path / "adapter", truncate=0)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there"):
        edit.to_lora(tmp_path / "there")
    edit.apply(model)
    with pytest.raises(ValueError, match=r"carries an edit; expected edit\.revert"):
        edit.to_lora(tmp_path / "adapter")
    edit.revert(model)
    edit.save(tmp_path / "edit.safetensors")
    with pytest.raises(ValueError, match="model is None"):
        lw.edits.load(tmp_path / "edit.safetensors").to_lora(tmp_path / "adapter")
    loaded = lw.edits.load(tmp_path / "edit.safetensors")
    assert loaded.to_lora(tmp_path / "adapter", model).folder.is_dir()
