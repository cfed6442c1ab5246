"""Models in memory in and out of a merge: the same bytes as by way of folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
import merging_models as models
from merging_models import config_of, franken, linear, near

RECIPES: dict[str, Callable[[list[Any]], dict[str, Any]]] = {
    "linear": lambda f: linear(f, [0.3, 0.7]),
    "ties": lambda f: {
        "merge_method": "ties", "base_model": str(f[0]),
        "models": [{"model": str(f[1]), "parameters": {"weight": 0.7, "density": 0.4}}],
    },
    "dare": lambda f: {
        "merge_method": "dare_linear", "base_model": str(f[0]),
        "models": [{"model": str(f[1]), "parameters": {"weight": 0.7, "density": 0.4}}],
    },
    "slerp": lambda f: {
        "merge_method": "slerp", "base_model": str(f[0]), "models": [{"model": str(f[1])}],
        "parameters": {"t": [0, 1]},
    },
    "passthrough": lambda f: {"merge_method": "passthrough", "models": [{"model": str(f[1])}]},
    "frankenmerge": franken,
}  # fmt: skip


def equal(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor]) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        assert got[name].dtype == value.dtype
        assert torch.equal(got[name], value), name


@pytest.mark.parametrize("label", RECIPES)
@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2"])
def test_both_ways(name: str, label: str, tiny: Callable[..., Path], tmp_path: Path) -> None:
    """Out of memory into memory, out of memory into a folder, out of folders into memory."""
    import transformers

    a = tiny(name)
    b = near(a, 1, tmp_path / "b")
    recipe = RECIPES[label]([a, b])
    lw.merge(recipe, tmp_path / "out", seed=4)
    want = models.load(tmp_path / "out")
    from_folders = lw.merged_model(recipe, seed=4)
    equal(from_folders.parameters(), want)
    tokens = torch.arange(1, 13)[None]
    assert torch.equal(from_folders(tokens), lw.load(tmp_path / "out")(tokens))

    live = {"a": lw.load(a), "b": transformers.AutoModelForCausalLM.from_pretrained(b)}
    recipe = RECIPES[label](["a", "b"])
    named = {n: m for n, m in live.items() if label != "passthrough" or n == "b"}
    equal(lw.merged_model(recipe, models=named, seed=4).parameters(), want)
    lw.merge(recipe, tmp_path / "live", models=named, seed=4)
    equal(models.load(tmp_path / "live"), want)
    assert torch.equal(lw.load(tmp_path / "live")(tokens), from_folders(tokens))


def test_the_donors_files_come_along(tmp_path: Path) -> None:
    """Tokenizer and all: the folders of a live merge and of one by folders hold the same files."""
    model = embedded.model()
    other = {name: value * 1.01 for name, value in models.load(embedded.MODEL).items()}
    b = models.save(tmp_path / "b", other, config_of(embedded.MODEL))
    lw.merge(linear([embedded.MODEL, b], [1.0, 1.0]), tmp_path / "disk")
    lw.merge(linear([Path("m"), b], [1.0, 1.0]), tmp_path / "live", models={"m": model})
    for path in (tmp_path / "disk").iterdir():
        if path.name != "lenswright.json":
            assert (tmp_path / "live" / path.name).read_bytes() == path.read_bytes(), path.name
    merged = lw.merged_model(linear([Path("m"), b], [1.0, 1.0]), models={"m": model})
    assert merged.to_str_tokens("make a kettle") == model.to_str_tokens("make a kettle")


def test_applied_edits_are_in_it(tmp_path: Path) -> None:
    model = embedded.model()
    before = {name: value.clone() for name, value in model.parameters().items()}
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model))
    edit.apply(model)
    recipe = linear([Path("edited"), embedded.MODEL], [1.0, 1.0])
    got = lw.merged_model(recipe, models={"edited": model}).parameters()
    name = "model.layers.1.mlp.down_proj.weight"
    assert not torch.equal(model.parameters()[name], before[name])
    want = (model.parameters()[name].double() + before[name].double()) / 2
    assert torch.equal(got[name], want.float())
    edit.revert(model)
    assert all(torch.equal(model.parameters()[n], v) for n, v in before.items())


def test_mistakes(tiny: Callable[..., Path], tmp_path: Path) -> None:
    model, folder = lw.load(tiny("llama")), tiny("llama")
    recipe = linear([Path("m"), folder], [1.0, 1.0])
    live = {"m": model}
    for more, said in (
        ({"models": live | {"n": model}}, "models has 'n', which the recipe lacks"),
        ({"models": {"m": 3}}, "expected a lenswright.Model"),
        ({"models": live, "resume": True}, "resume"),
    ):
        with pytest.raises(ValueError, match=said):
            lw.merge(recipe, tmp_path / "out", **more)
    with pytest.raises(FileNotFoundError):
        lw.merge(recipe, tmp_path / "out")
    with pytest.raises(ValueError, match="tokenizer_source needs a folder"):
        lw.merged_model(recipe | {"tokenizer_source": str(folder)}, models=live)
    with pytest.raises(ValueError, match="has stages"):
        lw.merged_model("name: a\nmerge_method: linear\n---\nmerge_method: linear\n")
    assert list(tmp_path.iterdir()) == []
