"""Models that differ: in names, sizes, types and heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models
from merging_models import config_of, linear, same


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


def test_the_bias_of_a_tied_head_stays(tmp_path: Path, family: Callable[..., Path]) -> None:
    phi = family("phi", "grouped")
    lw.merge(linear([phi, phi], [1.0, 1.0]), tmp_path / "out")
    same(models.load(tmp_path / "out")["lm_head.bias"], models.load(phi)["lm_head.bias"].double())


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
