"""Edits as PEFT adapters: `peft` loads them onto `transformers`' models and gives our logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
from edit_methods import directions, others
from editing import direction, stored_as
from editing_families import Family
from families import ROWS
from lenswright.verifying.verify import relative_error
from support import random_tokens, rewrite


def with_adapter(
    source: Path,
    adapter: Path,
    tokens: torch.Tensor,
    merged: bool,
    wide: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Logits of the unedited model with an adapter, beside its weights or in them."""
    import transformers

    from lenswright.reference import Reference

    reference = Reference(source, wide)
    assert isinstance(reference.model, transformers.PreTrainedModel)
    wrapped = peft.PeftModel.from_pretrained(reference.model, adapter).to(wide)
    reference.model = wrapped.merge_and_unload() if merged else wrapped
    with torch.no_grad():
        return reference.model(tokens).logits


BLOCKS = ["attention", "mlp"]
APART = {"codegen", "gptj", "gpt_oss"}
"""Families where only one of attention and MLP has a bias, which no adapter can hold with the other
without: each by itself."""
NARROW = {"xglm"}
"""Families whose float64 `transformers` refuse to run."""
CASES = {
    "llama": ("llama", "", "all"),
    "qwen2": ("qwen2", "", [*BLOCKS]),
    "gpt2": ("gpt2", "", BLOCKS),
    "gpt_neox": ("gpt_neox", "", BLOCKS),
    "phi": ("phi", "", BLOCKS),
    "gemma2": ("gemma2", "", BLOCKS),
    "olmo2": ("olmo2", "", "all"),
    "granite": ("granite", "", BLOCKS),
    "mistral3": ("mistral3", "", "all"),
    "qwen2_vl": ("qwen2_vl", "", "all"),
    "deepseek_v3": ("deepseek_v3", "", "all"),
    "mixtral": ("mixtral", "", "all"),
    "mixtral-fused": ("mixtral", "", "expert"),
    "qwen2_moe": ("qwen2_moe", "", "all"),
    "granitemoeshared": ("granitemoeshared", "", ["attention", "expert", "shared_expert"]),
    "gpt_oss": ("gpt_oss", "", "expert"),
    "llama4_text": ("llama4_text", "", "all"),
    "bare": ("gpt2", "", BLOCKS),
}


def edits_of(model: lw.Model, writers: Any) -> dict[str, lw.edits.Edit]:
    v, other = directions(model), others(model)
    plain = lw.edits.ablate(model, v[0], writers=writers)
    other_writers = "attention" if writers != "expert" else writers
    made = {
        "plain": plain,
        "projected": lw.edits.ablate(model, v[0], against=other, writers=writers, strength=0.5),
        "oblique": lw.edits.ablate(model, v, "oblique", read=other, writers=writers),
        "subspace": lw.edits.ablate(model, v, "subspace", writers=writers),
        "ridge": lw.edits.ablate(model, v, "ridge", ridge=0.1, writers=writers),
        "reflection": lw.edits.ablate(model, v[0], "reflection", writers=writers),
        "sum": plain + lw.edits.ablate(model, v[1], writers=other_writers),
    }
    if writers == "expert":
        return made | {"few": plain.restrict(experts=[1, 3])}
    return made | {"heads": plain.restrict(heads=[0], model=model)}


def test_there_and_back(family: Family, tmp_path: Path) -> None:
    for case, (name, knob, writers) in CASES.items():
        if case == "bare":
            continue
        fused = {"fused": True} if case.endswith("fused") else {}
        model = lw.load(stored_as(family(name, knob, **fused), tmp_path / case, "float64"))
        tokens = random_tokens(2, 9)
        for label in ("subspace", "sum"):
            edit = edits_of(model, writers)[label]
            back = lw.edits.from_lora(model, edit.to_lora(tmp_path / f"{case}-{label}").folder)
            assert set(back.writers()) <= set(edit.writers())
            with model.edited(edit):
                expected = model(tokens)
            with model.edited(back):
                assert relative_error(model(tokens), expected) < 1e-5, (case, label)
            assert relative_error(model(tokens), expected) > 1e-3


def test_adapters_that_peft_made(family: Family, tmp_path: Path) -> None:
    """Other ranks and scales than ours, names by their ends, several parameters of one module."""
    from lenswright.reference import Reference

    for name, targets, how in (
        ("llama", {"target_modules": ["o_proj", "down_proj"]},
         {"use_rslora": True, "alpha_pattern": {"o_proj": 7}, "rank_pattern": {"o_proj": 2}}),
        ("gpt2", {"target_modules": ["c_proj"]}, {"fan_in_fan_out": True, "lora_bias": True}),
        ("qwen2_moe", {"target_modules": ["o_proj"],
                       "target_parameters": ["mlp.experts.down_proj"]}, {}),
        ("gpt_oss", {"target_modules": [], "target_parameters": [
            "mlp.experts.down_proj", "mlp.experts.down_proj_bias"]}, {}),
    ):  # fmt: skip
        source = stored_as(family(name), tmp_path / name, "float32")
        torch.manual_seed(0)
        config = peft.LoraConfig(r=3, lora_alpha=5, init_lora_weights=False, task_type="CAUSAL_LM",
                                 **targets, **how)  # fmt: skip
        wrapped = peft.get_peft_model(Reference(source).model, config)
        wrapped.save_pretrained(tmp_path / f"{name}-adapter")
        model, tokens = lw.load(source, dtype="float64"), random_tokens(2, 9)
        edit = lw.edits.from_lora(model, tmp_path / f"{name}-adapter")
        with model.edited(edit):
            tried = model(tokens)
        assert relative_error(tried, model(tokens)) > 1e-3
        found = with_adapter(source, tmp_path / f"{name}-adapter", tokens, False)
        assert relative_error(tried, found) < 1e-5, name


@pytest.mark.parametrize("case", CASES)
def test_peft_gives_the_same_logits(family: Family, tmp_path: Path, case: str) -> None:
    name, knob, writers = CASES[case]
    fused = {"fused": True} if case.endswith("fused") else {}
    source = stored_as(family(name, knob, **fused), tmp_path / "in", "float32")
    if case == "bare":  # names without their first part, as GPT-2 was published
        rewrite(source, lambda w: {n.removeprefix("transformer."): t for n, t in w.items()})
    model = lw.load(source, dtype="float64")
    tokens = random_tokens(2, 9)
    for label, edit in edits_of(model, writers).items():
        adapter = edit.to_lora(tmp_path / label)
        assert adapter.errors == {}
        assert set(adapter.ranks.values()) <= {1, 2, 3}
        with model.edited(edit):
            tried = model(tokens)
        assert relative_error(tried, model(tokens)) > 1e-3
        for merged in (False, True):
            found = with_adapter(source, adapter.folder, tokens, merged)
            assert relative_error(found, tried) < 1e-5, (label, merged)


KINDS = ("attention", "mlp", "expert", "shared_expert")


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_family_as_an_adapter(family: Family, tmp_path: Path, name: str) -> None:
    """Attention and MLPs of every family, experts where no bias stands beside them."""
    source = stored_as(family(name), tmp_path / "in", "float32")
    model = lw.load(source, dtype="float64")
    kinds = {writer["kind"] for writer in model.writers()}
    own = [kind for kind in KINDS if kind in kinds]
    edit = lw.edits.ablate(model, direction(model), writers=own)
    if name in APART:
        with pytest.raises(ValueError, match="an adapter with biases cannot hold"):
            edit.to_lora(tmp_path / "adapter")
    wide = torch.float32 if name in NARROW else torch.float64
    tokens = random_tokens(2, 9)
    for i, writers in enumerate([[kind] for kind in own] if name in APART else [own]):
        part = edit.restrict(writers=writers)
        adapter = part.to_lora(tmp_path / f"{i}")
        with model.edited(part):
            tried = model(tokens)
        assert relative_error(tried, model(tokens)) > 1e-3
        found = with_adapter(source, adapter.folder, tokens, False, wide)
        assert relative_error(found, tried) < 1e-5
        with model.edited(lw.edits.from_lora(model, adapter.folder)):
            assert relative_error(model(tokens), tried) < 1e-5


def test_what_the_files_hold(family: Family, tmp_path: Path) -> None:
    source = stored_as(family("gpt2"), tmp_path / "in", "float32")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)), writers="mlp")
    adapter = edit.to_lora(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 1
    assert config["fan_in_fan_out"] is True
    assert config["target_modules"] == [f"transformer.h.{i}.mlp.c_proj" for i in range(3)]
    tensors = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert len(tensors) == 9
    assert adapter.ranks == dict.fromkeys(config["target_modules"], 1)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["adapter", "in"]


@pytest.mark.parametrize("method", ["row_norm", "write_norm"])
def test_changes_of_full_rank_are_refused_or_truncated_with_their_error(
    family: Family, tmp_path: Path, method: str
) -> None:
    source = stored_as(family("llama"), tmp_path / "in", "float32")
    model = lw.load(source, dtype="float64")
    edit = lw.edits.ablate(model, direction(model), method, writers=BLOCKS)
    with pytest.raises(ValueError, match=r"a change of full rank.*expected truncate=RANK"):
        edit.to_lora(tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()
    tokens = random_tokens(2, 9)
    with model.edited(edit):
        exact = model(tokens)
    errors, distances = [], []
    before = {n: t.double().clone() for n, t in model.parameters().items()}
    edit.apply(model)
    change = {n: t.double() - before[n] for n, t in model.parameters().items() if n in edit.bases}
    edit.revert(model)
    for rank in (1, 3, model.cfg.d_model):
        adapter = edit.to_lora(tmp_path / f"{rank}", truncate=rank)
        errors.append(max(adapter.errors.values()))
        distances.append(relative_error(with_adapter(source, adapter.folder, tokens, False), exact))
        tensors = load_file(adapter.folder / "adapter_model.safetensors")
        for module, error in adapter.errors.items():
            a, b = (tensors[f"base_model.model.{module}.lora_{x}.weight"].double() for x in "AB")
            whole = change[f"{module}.weight"]
            assert abs(float((whole - b @ a).norm() / whole.norm()) - error) < 1e-5
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6
    assert distances[0] > distances[2]
    assert distances[2] < 1e-5
