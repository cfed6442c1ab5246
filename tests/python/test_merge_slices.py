"""Slices, modules and stages; the result loads with equal logits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lenswright as lw
import merging_models as models
from merging_models import config_of, franken, linear, near, same


def test_frankenmerge(pair: list[Path], tmp_path: Path) -> None:
    done = lw.merge(franken(pair), tmp_path / "out")
    out, a, b = (models.load(f) for f in (tmp_path / "out", *pair))
    config = config_of(tmp_path / "out")
    assert config["num_hidden_layers"] == 4
    origins = [(a, 0), (a, 1), (b, 1), (b, 2)]
    for layer, (model, source) in enumerate(origins):
        for rest in ("mlp.up_proj", "self_attn.q_proj", "input_layernorm"):
            assert torch.equal(
                out[f"model.layers.{layer}.{rest}.weight"],
                model[f"model.layers.{source}.{rest}.weight"],
            )
    assert torch.equal(out["model.embed_tokens.weight"], a["model.embed_tokens.weight"])
    assert torch.equal(out["lm_head.weight"], b["lm_head.weight"])
    assert done.copied == done.tensors == len(out)
    used = 2 * len(a) - len(done.unused)
    assert used == len(out)  # every input tensor is accounted for
    assert all(why for _, _, why in done.unused)
    record = json.loads((tmp_path / "out" / "lenswright.json").read_text())
    assert len(record["steps"][0]["unused"]) == len(done.unused)


def test_lists_with_an_entry_for_each_layer(pair: list[Path], tmp_path: Path) -> None:
    kinds = [["full_attention", "sliding_attention", "full_attention"], ["a", "b", "c"]]
    folders = [
        models.save(
            tmp_path / f"m{i}", models.load(folder),
            config_of(folder) | {"layer_types": kinds[i], "no_rope_layers": [i, 1, 1],
                                 "eos_token_id": [1, 2, 3], "mlp_only_layers": [1]},
        )
        for i, folder in enumerate(pair)
    ]  # fmt: skip
    lw.merge(franken(folders), tmp_path / "out")
    config = config_of(tmp_path / "out")
    assert config["layer_types"] == ["full_attention", "sliding_attention", "b", "c"]
    assert config["no_rope_layers"] == [0, 1, 1, 1]
    assert config["eos_token_id"] == [1, 2, 3]
    assert config["mlp_only_layers"] == [1, 2]
    deep = config_of(pair[0]) | {"first_k_dense_replace": 2}
    folders[0] = models.save(tmp_path / "deep", models.load(pair[0]), deep)
    with pytest.raises(ValueError, match="first_k_dense_replace"):
        lw.merge(franken(folders), tmp_path / "no")


def test_last_tensors_have_all_models_of_the_last_slice(pair: list[Path], tmp_path: Path) -> None:
    """D3: mergekit takes as many as the first slice has."""
    a, b = (str(folder) for folder in pair)

    def source(model: str, ends: list[int], weight: float) -> dict[str, Any]:
        return {"model": model, "layer_range": ends, "parameters": {"weight": weight}}

    recipe = {
        "merge_method": "linear",
        "slices": [
            {"sources": [source(a, [0, 2], 1)]},
            {"sources": [source(a, [2, 3], 1), source(b, [2, 3], 3)]},
        ],
    }
    x, y = (models.load(folder)["lm_head.weight"].double() for folder in pair)
    lw.merge(recipe, tmp_path / "strict")
    same(models.load(tmp_path / "strict")["lm_head.weight"], (x + 3 * y) / 4)
    lw.merge(recipe, tmp_path / "compat", "compat")
    same(models.load(tmp_path / "compat")["lm_head.weight"], x)


def test_slices_of_different_lengths(pair: list[Path], tmp_path: Path) -> None:
    recipe = linear(pair, [1.0, 1.0])
    recipe["slices"] = [
        {"sources": [
            {"model": str(pair[0]), "layer_range": [0, 2], "parameters": {"weight": 1}},
            {"model": str(pair[1]), "layer_range": [0, 3], "parameters": {"weight": 1}},
        ]}
    ]  # fmt: skip
    del recipe["models"]
    with pytest.raises(ValueError, match="different lengths, 2 and 3"):
        lw.merge(recipe, tmp_path / "out")


def test_modules(tmp_path: Path) -> None:
    """Parts of a model that sees: slices of the text decoder, the vision tower of one model."""
    folders = []
    for i in range(2):
        tensors = {
            f"model.language_model.layers.{n}.mlp.weight": torch.full([3, 2], 10.0 * i + n)
            for n in range(3)
        } | {
            "model.language_model.embed_tokens.weight": torch.full([5, 2], float(i)),
            "model.visual.blocks.0.attn.weight": torch.full([4], float(i)),
            "model.visual.merger.weight": torch.full([4], float(i)),
        }
        inner = {"num_hidden_layers": 3, "layer_types": ["x", "y", "z"], "vocab_size": 5}
        folders.append(models.save(tmp_path / f"m{i}", tensors, {"text_config": inner}))
    a, b = map(str, folders)
    slices = [
        {"sources": [{"model": a, "layer_range": [0, 2]}]},
        {"sources": [{"model": b, "layer_range": [1, 3]}]},
    ]
    recipe = {
        "merge_method": "passthrough",
        "modules": {"text_decoder": {"slices": slices}, "visual": {"models": [{"model": b}]}},
    }
    lw.merge(recipe, tmp_path / "out")
    out = models.load(tmp_path / "out")
    layers = [float(out[f"model.language_model.layers.{n}.mlp.weight"][0, 0]) for n in range(4)]
    assert layers == [0, 1, 11, 12]
    assert float(out["model.visual.blocks.0.attn.weight"][0]) == 1
    assert len(out) == 7
    config = config_of(tmp_path / "out")["text_config"]
    assert config["num_hidden_layers"] == 4
    assert config["layer_types"] == ["x", "y", "y", "z"]
    recipe["modules"]["visul"] = recipe["modules"].pop("visual")
    with pytest.raises(ValueError, match="visul"):
        lw.merge(recipe, tmp_path / "wrong")


def test_stages(pair: list[Path], tmp_path: Path) -> None:
    stages = [
        {"merge_method": "linear", "models": [
            {"model": "first", "parameters": {"weight": 1.0}},
            {"model": str(pair[1]), "parameters": {"weight": 1.0}}]},
        {"name": "first", "merge_method": "slerp", "base_model": str(pair[0]),
         "models": [{"model": str(pair[1])}], "parameters": {"t": 0.5}},
    ]  # fmt: skip
    path = tmp_path / "stages.yml"
    path.write_text(yaml.safe_dump_all(stages))
    assert lw.merge(path, tmp_path / "dry", dry_run=True).tensors > 0
    lw.merge(path, tmp_path / "out")
    lw.merge(stages[1], tmp_path / "first")
    recipe = linear([tmp_path / "first", pair[1]], [1.0, 1.0])
    lw.merge(recipe, tmp_path / "by_hand")
    got, want = models.load(tmp_path / "out"), models.load(tmp_path / "by_hand")
    assert all(torch.equal(got[name], want[name]) for name in want)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    stages[0]["models"][0]["model"] = "frist"
    path.write_text(yaml.safe_dump_all(stages))
    with pytest.raises(FileNotFoundError, match=r"'frist' is no stage .* did you mean 'first'"):
        lw.merge(path, tmp_path / "wrong")
    stages[0]["models"][0]["model"] = "first"
    stages[0]["models"][0]["parameters"]["weigth"] = 1.0
    path.write_text(yaml.safe_dump_all(stages))
    with pytest.raises(ValueError, match="weigth"):
        lw.merge(path, tmp_path / "wrong")


LOADED = {
    "slerp with gradients": lambda a, b: {
        "slices": [{"sources": [{"model": str(m), "layer_range": [0, 3]} for m in (a, b)]}],
        "merge_method": "slerp", "base_model": str(a),
        "parameters": {"t": [{"filter": "self_attn", "value": [0, 0.5, 1]}, {"value": 0.5}]},
    },
    "ties": lambda a, b: {
        "merge_method": "ties", "base_model": str(a),
        "models": [{"model": str(b), "parameters": {"weight": 0.7, "density": 0.4}}],
    },
    "frankenmerge": lambda a, b: franken([a, b]),
}  # fmt: skip


@pytest.mark.parametrize("label", LOADED)
@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2"])
def test_it_loads(name: str, label: str, tiny: Callable[..., Path], tmp_path: Path) -> None:
    import transformers

    a = tiny(name)
    b = near(a, 1, tmp_path / "b")
    lw.merge(LOADED[label](a, b), tmp_path / "out")
    tokens = torch.arange(1, 13).reshape(1, -1)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        want = reference(tokens).logits
        got = lw.load(tmp_path / "out")(tokens)
    assert float((got - want).abs().max()) <= 1e-5 * float(want.abs().max())
