"""Slices, gradients, filters, vocabularies and stages; the result loads with equal logits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import lenswright as lw
import merging_models as models


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def near(folder: Path, seed: int, to: Path, **changes: Any) -> Path:
    """A fine-tune of a checkpoint: every tensor moved a little."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator).to(value.dtype)
        for name, value in models.load(folder).items()
    }
    return models.save(to, tensors, config_of(folder) | changes)


@pytest.fixture
def pair(tiny: Callable[..., Path], tmp_path: Path) -> list[Path]:
    return [tiny("llama"), near(tiny("llama"), 1, tmp_path / "b")]


def linear(folders: list[Path], weights: list[Any]) -> dict[str, Any]:
    return {
        "merge_method": "linear",
        "models": [
            {"model": str(f), "parameters": {"weight": w}}
            for f, w in zip(folders, weights, strict=True)
        ],
    }


def same(got: torch.Tensor, want: torch.Tensor) -> None:
    assert float((got.double() - want).abs().max()) <= 1e-6 * float(want.abs().max())


def test_gradients_reach_the_last_tensors(pair: list[Path], tmp_path: Path) -> None:
    """D2: mergekit gives the first value to the final norm and the head; compat does, too."""
    recipe = linear(pair, [[0, 1], [1, 0]])
    a, b = (models.load(folder) for folder in pair)
    for mode, last in {"strict": a, "compat": b}.items():
        lw.merge(recipe, tmp_path / mode, mode)
        out = models.load(tmp_path / mode)
        for name in ("model.norm.weight", "lm_head.weight"):
            assert torch.equal(out[name], last[name])
        assert torch.equal(out["model.embed_tokens.weight"], b["model.embed_tokens.weight"])
        name = "model.layers.{}.mlp.up_proj.weight"
        assert torch.equal(out[name.format(0)], b[name.format(0)])
        assert torch.equal(out[name.format(2)], a[name.format(2)])
        same(out[name.format(1)], (a[name.format(1)].double() + b[name.format(1)]) / 2)


def test_filters(pair: list[Path], tmp_path: Path) -> None:
    weight = [
        {"filter": "mlp.up", "value": 0.25},
        {"filter": "glob:*.self_attn.?_proj.weight", "value": [0, 1]},
        {"filter": "regex:.*layernorm.*", "value": 0.75},
        {"filter": "*", "value": 1.0},
    ]
    recipe = linear(pair, [weight, 1.0]) | {"parameters": {"normalize": False}}
    lw.merge(recipe, tmp_path / "out")
    out, a, b = (models.load(f) for f in (tmp_path / "out", *pair))
    for name, share in {
        "model.layers.1.mlp.up_proj.weight": 0.25,
        "model.layers.1.mlp.down_proj.weight": 1.0,
        "model.layers.0.self_attn.q_proj.weight": 0.0,
        "model.layers.1.self_attn.o_proj.weight": 0.5,
        "model.layers.2.self_attn.k_proj.weight": 1.0,
        "model.layers.2.input_layernorm.weight": 0.75,
        "model.norm.weight": 1.0,
    }.items():
        same(out[name], share * a[name].double() + b[name].double())


def test_precedence(pair: list[Path], tmp_path: Path) -> None:
    """Source before slice before top; what a filter leaves open falls to the next."""
    sources = [{"model": str(f), "layer_range": [0, 3]} for f in pair]
    sources[1]["parameters"] = {"weight": [{"filter": "mlp", "value": 3.0}]}
    recipe = {
        "merge_method": "linear", "parameters": {"weight": 1.0, "normalize": False},
        "slices": [
            {"sources": sources, "parameters": {"weight": [{"filter": "attn", "value": 2.0}]}}
        ],
    }  # fmt: skip
    lw.merge(recipe, tmp_path / "out")
    out, a, b = (models.load(f) for f in (tmp_path / "out", *pair))
    for name, (u, v) in {
        "model.layers.1.mlp.up_proj.weight": (1, 3),
        "model.layers.1.self_attn.q_proj.weight": (2, 2),
        "model.norm.weight": (1, 1),
    }.items():
        same(out[name], u * a[name].double() + v * b[name].double())


def franken(folders: list[Path]) -> dict[str, Any]:
    return {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": str(folders[0]), "layer_range": [0, 2]}]},
            {"sources": [{"model": str(folders[1]), "layer_range": [1, 3]}]},
        ],
    }


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


def test_the_same_model_twice(pair: list[Path], tmp_path: Path) -> None:
    """D20: two entries are two entries; mergekit keeps the first."""
    recipe = linear([pair[0], pair[0], pair[1]], [1.0, 3.0, 1.0])
    name = "model.layers.1.mlp.up_proj.weight"
    a, b = (models.load(folder)[name].double() for folder in pair)
    lw.merge(recipe, tmp_path / "strict")
    same(models.load(tmp_path / "strict")[name], (4 * a + b) / 5)
    lw.merge(recipe, tmp_path / "compat", "compat")
    same(models.load(tmp_path / "compat")[name], (a + b) / 2)


def test_base_model_that_is_not_listed(pair: list[Path], tmp_path: Path) -> None:
    """D13, D4: it is where config.json comes from; karcher of mergekit averages it in."""
    recipe = linear(pair[1:], [1.0]) | {"base_model": str(pair[0])}
    lw.merge(recipe, tmp_path / "linear")
    name = "model.norm.weight"
    assert torch.equal(models.load(tmp_path / "linear")[name], models.load(pair[1])[name])
    recipe = {
        "merge_method": "karcher",
        "models": [{"model": str(pair[1])}],
        "base_model": str(pair[0]),
    }
    for mode in ("strict", "compat"):
        lw.merge(recipe, tmp_path / mode, mode)
    b = models.load(pair[1])[name]
    same(models.load(tmp_path / "strict")[name], b.double())
    assert not torch.allclose(models.load(tmp_path / "compat")[name], b)


def test_tied_and_untied_heads(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """D18: where one model has a head of its own, the embedding is the head of the tied one, and
    config.json says that the result is not tied."""
    untied, tied = tiny("llama"), tmp_path / "tied"
    tensors = models.load(untied)
    del tensors["lm_head.weight"]
    models.save(tied, tensors, config_of(untied) | {"tie_word_embeddings": True})
    recipe = linear([tied, untied], [1.0, 1.0])
    lw.merge(recipe, tmp_path / "out")
    assert config_of(tmp_path / "out")["tie_word_embeddings"] is False
    head, embedding = (
        models.load(untied)[n].double() for n in ("lm_head.weight", "model.embed_tokens.weight")
    )
    same(models.load(tmp_path / "out")["lm_head.weight"], (head + embedding) / 2)
    lw.merge(linear([tied, tied], [1.0, 1.0]), tmp_path / "both")
    assert config_of(tmp_path / "both")["tie_word_embeddings"] is True
    assert "lm_head.weight" not in models.load(tmp_path / "both")


def test_vocabularies_of_different_sizes(pair: list[Path], tmp_path: Path) -> None:
    """D17: mergekit keeps the rows that all have, and the old vocab_size; strict asks."""
    tensors = models.load(pair[1])
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        tensors[name] = tensors[name][:90].clone()
    small = models.save(tmp_path / "small", tensors, config_of(pair[1]) | {"vocab_size": 90})
    recipe = linear([pair[0], small], [1.0, 1.0])
    with pytest.raises(ValueError, match="other vocabularies"):
        lw.merge(recipe, tmp_path / "out")
    for method in (
        "linear",
        "slerp",
        "karcher",
        "task_arithmetic",
    ):  # D11, D15, D16: of every method
        own = {"parameters": {"weight": 1.0}} if method in ("linear", "task_arithmetic") else {}
        recipe = {"merge_method": method, "models": [{"model": str(small)} | own]}
        if method in ("slerp", "task_arithmetic"):
            recipe["base_model"] = str(pair[0])
        else:
            recipe["models"].append({"model": str(pair[0])} | own)
        if method == "slerp":
            recipe["parameters"] = {"t": 0.5}
        lw.merge(recipe, tmp_path / method, "compat")
        out = models.load(tmp_path / method)
        assert out["lm_head.weight"].shape[0] == 90
        assert config_of(tmp_path / method)["vocab_size"] == 90


def test_tensors_that_no_table_knows(pair: list[Path], tmp_path: Path) -> None:
    """D19, D27: everything that is there is merged; whole numbers must agree."""
    folders = []
    for i, folder in enumerate(pair):
        extra = {
            "model.layers.1.self_attn.new_norm.weight": torch.full([5], float(i)),
            "thing.weight": torch.full([2, 2], float(i)),
            "model.layers.0.positions": torch.arange(4),
        }
        config = config_of(folder) | {"model_type": "nobody_knows"}
        folders.append(models.save(tmp_path / f"m{i}", models.load(folder) | extra, config))
    lw.merge(linear(folders, [1.0, 3.0]), tmp_path / "out")
    out = models.load(tmp_path / "out")
    assert torch.equal(out["thing.weight"], torch.full([2, 2], 0.75))
    assert torch.equal(out["model.layers.1.self_attn.new_norm.weight"], torch.full([5], 0.75))
    assert torch.equal(out["model.layers.0.positions"], torch.arange(4))
    tensors = models.load(folders[0]) | {"model.layers.0.positions": torch.arange(4) + 1}
    other = models.save(tmp_path / "other", tensors, config_of(folders[0]))
    with pytest.raises(ValueError, match=r"positions.*differs"):
        lw.merge(linear([folders[0], other], [1.0, 3.0]), tmp_path / "no")


def test_missing_tensors_in_compat(pair: list[Path], tmp_path: Path) -> None:
    tensors = models.load(pair[1])
    del tensors["model.layers.1.mlp.up_proj.weight"]
    less = models.save(tmp_path / "less", tensors, config_of(pair[1]))
    recipe = linear([pair[0], less], [1.0, 1.0])
    done = lw.merge(recipe, tmp_path / "out", "compat")
    assert any("not in" in note and "up_proj" in note for note in done.notes)
    name = "model.layers.1.mlp.up_proj.weight"
    assert torch.equal(models.load(tmp_path / "out")[name], models.load(pair[0])[name])


def test_types(pair: list[Path], tmp_path: Path) -> None:
    """dtype is what is written; out_dtype wins; compat rounds inputs to dtype first."""
    recipe = linear(pair, [1.0, 1.0])
    for dtype, kind in {"bfloat16": torch.bfloat16, "float16": torch.float16}.items():
        lw.merge(recipe | {"dtype": dtype}, tmp_path / dtype)
        out = models.load(tmp_path / dtype)
        assert {value.dtype for value in out.values()} == {kind}
        assert config_of(tmp_path / dtype)["dtype"] == dtype
    name = "model.layers.1.mlp.up_proj.weight"
    a, b = (models.load(folder)[name] for folder in pair)
    want = models.rounded(((a.double() + b.double()) / 2).numpy(), torch.bfloat16)
    assert np.array_equal(models.load(tmp_path / "bfloat16")[name].double().numpy(), want)
    lw.merge(recipe | {"dtype": "bfloat16", "out_dtype": "float32"}, tmp_path / "both", "compat")
    value = models.load(tmp_path / "both")[name]
    assert value.dtype == torch.float32
    same(value, (a.bfloat16().double() + b.bfloat16().double()) / 2)


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
