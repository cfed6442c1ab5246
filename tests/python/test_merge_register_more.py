"""The rest of the register of defects of mergekit: `merge_register.py` says which test is of which.

D25 and D26 are of commands that there are none of here; what they were for works otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
import merging_models as models
import test_merge_adapters as adapters
from lenswright.cli import VERBS, main
from merging_models import config_of, franken, linear
from merging_reference import merged
from test_merge_methods import CASES, recipe_of
from test_merge_vocabularies import recipe as recipe_of_words
from test_merge_vocabularies import two as two

NAME = "model.layers.0.w.weight"


def merged_elsewhere(recipe: dict[str, Any], out: Path, hash_seed: int) -> dict[str, Any]:
    """Merge in a process with its own seed of hashes: everything about the folder."""
    path = out.with_suffix(".json")
    path.write_text(json.dumps(recipe))
    subprocess.run(
        [sys.executable, "-m", "lenswright", "merge", str(path), str(out)],
        check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
    )  # fmt: skip
    small = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix == ".json"}
    small.pop("lenswright.json")
    return {"tensors": models.hashes(out), "files": small}


def test_d4_d5_d6_nothing_depends_on_hashes(two: list[Path], tmp_path: Path) -> None:
    """Without a base the first model gives config and tokenizer; sums have one order."""
    recipe = recipe_of_words(two, tokenizer_source="union")
    del recipe["base_model"]
    first = json.loads((two[0] / "config.json").read_text())
    for folder, name in ((two[0], "one"), (two[1], "other")):
        config = config_of(folder) | {"of": name}
        (folder / "config.json").write_text(json.dumps(config))
    found = [merged_elsewhere(recipe, tmp_path / f"out{seed}", seed) for seed in (0, 1, 2)]
    assert found[0] == found[1] == found[2]
    written = json.loads(found[0]["files"]["config.json"])
    assert written["of"] == "one"
    assert set(written) >= set(first)
    folders = [*two, Path(shutil.copytree(two[0], tmp_path / "c"))]
    tensors = {name: value + 1e-3 for name, value in models.load(folders[2]).items()}
    save_file(tensors, folders[2] / "model.safetensors")
    for method in ("multislerp", "ram", "sce"):
        shared = {"base_model": str(folders[0])} if method != "multislerp" else {}
        entries = [{"model": str(f)} for f in (folders[1:] if shared else folders)]
        if method == "multislerp":
            entries = [one | {"parameters": {"weight": 0.3}} for one in entries]
        case = {"merge_method": method, "models": entries, "tokenizer_source": "union"} | shared
        found = [merged_elsewhere(case, tmp_path / f"{method}{seed}", seed) for seed in (0, 3)]
        assert found[0] == found[1]


@pytest.mark.parametrize("density", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("shape", [[], [1], [7, 1], [1, 1], [3, 5]])
def test_d12_della_of_columns_and_high_densities(shape: list[int], density: float) -> None:
    base = torch.zeros(shape)
    other = torch.arange(1.0, 1 + base.numel()).reshape(shape)
    recipe = {
        "merge_method": "della_linear", "base_model": "a",
        "models": [{"model": "b", "parameters": {"weight": 1.0, "density": density}}],
    }  # fmt: skip
    out = lw.merge_state_dicts({"a": {NAME: base}, "b": {NAME: other}}, recipe, seed=3)[NAME]
    if not shape:  # one element is one row of one
        other, base, out = (x.reshape(1) for x in (other, base, out))
    want = merged(
        "della_linear", NAME, [other.double().numpy()], base.double().numpy(),
        [{"weight": 1.0, "density": density}], {}, "strict", 3,
    )  # fmt: skip
    models.judge(NAME, out, want)


def test_d15_d16_embeddings_of_other_sizes(tmp_path: Path) -> None:
    """Cut rows, a larger base: merged in compat, asked about in strict, and never a crash."""
    name = "model.embed_tokens.weight"
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(rows, 6, generator=generator) for rows in (13, 11)]
    folders = [
        models.save(tmp_path / f"m{i}", {name: value}, {"vocab_size": len(value)})
        for i, value in enumerate(values)
    ]
    cut = [value[:11].double().numpy() for value in values]
    for method, base in {"nuslerp": False, "task_arithmetic": True, "ties": True}.items():
        own = {"parameters": {"weight": 0.5}}
        entries = [{"model": str(f)} | own for f in (folders[1:] if base else folders)]
        recipe: dict[str, Any] = {"merge_method": method, "models": entries}
        if base:
            recipe["base_model"] = str(folders[0])
        with pytest.raises(ValueError, match="other vocabularies"):
            lw.merge(recipe, tmp_path / "no")
        lw.merge(recipe, tmp_path / method, "compat")
        x, origin = (cut[1:], cut[0]) if base else (cut, None)
        each = [{"weight": 0.5, "density": 1.0}] * len(x)
        want = merged(method, name, x, origin, each, {}, "compat")
        models.judge(name, models.load(tmp_path / method)[name], want, 5e-6)


@pytest.mark.parametrize("method", sorted(set(CASES) - {"passthrough"}))
def test_d16_no_model_is_skipped(method: str, tmp_path: Path) -> None:
    """A model whose tensor has another shape is an error that names both, in both modes."""
    count, base, shared, own = CASES[method]
    folders = [
        models.save(tmp_path / f"m{i}", {NAME: torch.ones(3, 4 + (i == count))}) for i in range(4)
    ]
    recipe = recipe_of(method, (count, base, shared, own), folders)
    for mode in ("strict", "compat"):
        with pytest.raises(ValueError, match=r"\[3, 4\].*\[3, 5\]|\[3, 5\].*\[3, 4\]"):
            lw.merge(recipe, tmp_path / "out", mode)
    assert not (tmp_path / "out").exists()


def test_d23_an_option_without_effect_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = models.save(tmp_path / "m", {NAME: torch.ones(3, 4)})
    recipe = tmp_path / "r.yml"
    recipe.write_text(f"merge_method: passthrough\nmodels: [{{model: {folder}}}]\n")
    assert main(["merge", str(recipe), str(tmp_path / "out"), "--write-threads", "4"]) == 0
    assert "--write-threads has no effect" in capsys.readouterr().err


def test_d25_single_files_and_zeros(tmp_path: Path) -> None:
    """Files without a folder or a config, parameters that are 0 and false, or none at all."""
    files = []
    (tmp_path / "in").mkdir()
    for i in range(2):
        files.append(tmp_path / "in" / f"{i}.safetensors")
        save_file({"a.weight": torch.full([3, 4], 1.0 + i), "b": torch.ones(2)}, files[i])
    recipe = linear(files, [0, 1.0]) | {"parameters": {"normalize": False}}
    lw.merge(recipe, tmp_path / "zero")
    assert torch.equal(models.load(tmp_path / "zero")["a.weight"], torch.full([3, 4], 2.0))
    ties = {
        "merge_method": "ties", "base_model": str(files[0]),
        "models": [{"model": str(files[1]), "parameters": {"weight": 1, "density": 0}}],
    }  # fmt: skip
    lw.merge(ties, tmp_path / "ties")
    assert torch.equal(models.load(tmp_path / "ties")["a.weight"], torch.ones(3, 4))
    lw.merge(
        {"merge_method": "karcher", "models": [{"model": str(f)} for f in files]}, tmp_path / "k"
    )
    assert np.allclose(models.load(tmp_path / "k")["a.weight"].numpy(), 1.5)


def test_d26_shuffled_layers(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """What mergekit-layershuffle was for is a recipe of slices."""
    order = [2, 0, 1]
    slices = [
        {"sources": [{"model": str(tiny("llama")), "layer_range": [i, i + 1]}]} for i in order
    ]
    lw.merge({"merge_method": "passthrough", "slices": slices}, tmp_path / "out")
    out, before = models.load(tmp_path / "out"), models.load(tiny("llama"))
    for place, layer in enumerate(order):
        for name in (n for n in before if n.startswith(f"model.layers.{layer}.")):
            there = name.replace(f"layers.{layer}.", f"layers.{place}.")
            assert torch.equal(out[there], before[name])
    assert len(out) == len(before)
    lw.load(tmp_path / "out")(torch.arange(5)[None])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_d26_every_verb_runs(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"lenswright {verb}" in capsys.readouterr().out


def test_d28_adapters_leave_no_cache(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """A killed run has left nothing that a later one would take: adapters are read in place."""
    a, b = adapters.pair(models.load(tiny("llama")), adapters.UP, 4, 0)
    lora = adapters.adapter(tmp_path / "lora", adapters.named(adapters.UP, [a, b]))
    adapters.passed(tiny("llama"), lora, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["lora", "out"]
    whole = (lora / "adapter_model.safetensors").read_bytes()
    (lora / "adapter_model.safetensors").write_bytes(whole[:-8])
    with pytest.raises(lw.CheckpointError):
        adapters.passed(tiny("llama"), lora, tmp_path / "again")


def test_d30_codes_without_a_config_are_refused(tmp_path: Path) -> None:
    """fp8 codes whose config names no form: no number is made of them."""
    codes = torch.arange(12, dtype=torch.uint8).view(3, 4).view(torch.float8_e4m3fn)
    folders = [models.save(tmp_path / f"m{i}", {NAME: codes.clone()}) for i in range(2)]
    tensors = {NAME: (codes.view(torch.uint8) + 1).view(torch.float8_e4m3fn)}
    other = models.save(tmp_path / "other", tensors)
    with pytest.raises(ValueError, match=r"F8_E4M3.*differs|dtype or out_dtype"):
        lw.merge(linear([folders[0], other], [1.0, 1.0]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_d32_settings_of_all_threads(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """Mode, seed and types hold in every thread."""
    folders = [tiny("llama")]
    tensors = models.load(folders[0])
    folders.append(
        models.save(
            tmp_path / "b", {n: v * 1.01 for n, v in tensors.items()}, config_of(folders[0])
        )
    )
    recipe = recipe_of("dare_ties", (1, True, {}, {"weight": [1.0], "density": [0.5]}), folders)
    for threads in (1, 2, 5):
        out = tmp_path / f"out{threads}"
        lw.merge(recipe | {"dtype": "bfloat16"}, out, "compat", threads=threads, seed=9)
        assert {value.dtype for value in models.load(out).values()} == {torch.bfloat16}
        assert models.hashes(out) == models.hashes(tmp_path / "out1")
    assert franken(folders)  # slices, likewise
    for threads in (1, 2):
        lw.merge(franken(folders), tmp_path / f"slices{threads}", threads=threads)
    assert models.hashes(tmp_path / "slices1") == models.hashes(tmp_path / "slices2")
