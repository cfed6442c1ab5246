"""What a recipe must be: each mistake is one line with the nearest name, exit code 2, no output."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models
from lenswright.merging import recipes


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three float32 models, the first the base of the others."""
    return [
        str(path)
        for path in models.base_and_tuned(tmp_path_factory.mktemp("trio"), 2, torch.float32)
    ]


def linear(trio: list[str]) -> dict[str, Any]:
    return {
        "merge_method": "linear",
        "models": [{"model": m, "parameters": {"weight": 1.0}} for m in trio[:2]],
        "dtype": "float32",
    }


def ties(trio: list[str]) -> dict[str, Any]:
    return {
        "merge_method": "ties",
        "base_model": trio[0],
        "models": [{"model": m, "parameters": {"weight": 1.0, "density": 0.5}} for m in trio[1:]],
        "parameters": {"normalize": True},
    }


def sliced(trio: list[str]) -> dict[str, Any]:
    return {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": trio[0], "layer_range": [0, 2]}]},
            {"sources": [{"model": trio[1], "layer_range": [1, 3]}]},
        ],
    }


def put(recipe: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The recipe with one value set; DELETE takes it away."""
    out = copy.deepcopy(recipe)
    at: Any = out
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in parents:
        at = at[part]
    if value is DELETE:
        del at[last]
    else:
        at[last] = value
    return out


DELETE = object()
WRONG = [
    # start, place, value, what the message says
    (linear, "merge_method", "linaer", ["linaer", "did you mean 'linear'?", "ties"]),
    (linear, "merge_method", DELETE, ["no merge_method"]),
    (linear, "parametres", {}, ["unknown key 'parametres'", "did you mean 'parameters'?"]),
    (linear, "tokenizer_sorce", "base", ["did you mean 'tokenizer_source'?"]),
    (linear, "models.0.parameters.weigth", 0.9, ["no parameter 'weigth'", "'weight'"]),
    (linear, "models.0.parameters.weight", DELETE, ["no weight of model", "linear needs one"]),
    (linear, "models.0.parameters.weight", "half", ["weight", '"half"', "expected a number"]),
    (linear, "models.0.parameters.weight", [], ["empty list"]),
    (linear, "models.0.parameters.weight", float("nan"), ["weight is nan", "finite"]),
    (linear, "models.0.parameters.weight", [0.5, "x"], ["weight[1]", "expected a number"]),
    (linear, "models.0.parameters.weight", [{"fliter": "mlp", "value": 1}], ["'filter'"]),
    (linear, "models.0.parameters.weight", [{"filter": "mlp", "value": 1}], ["no weight of model"]),
    (linear, "models.0.parameters.weight", [{"filter": "regex:(", "value": 1}], ["regex:("]),
    (linear, "models.0.paramters", {}, ["did you mean 'parameters'?"]),
    (linear, "models.0.parameters.normalize", True, ["of the whole merge"]),
    (linear, "parameters", {"normalize": "maybe"}, ["normalize", "expected a number"]),
    (linear, "parameters", {"normalize": 2}, ["normalize is 2", "true or false"]),
    (linear, "models", [], ["models is []", "expected a list"]),
    (linear, "slices", [], ["exactly one of models, slices and modules"]),
    (linear, "models.0.model", "nowhere/at/all", ["nowhere/at/all"]),
    (linear, "models.0.model", "a@b@c", ["one '+'"]),
    (linear, "dtype", "bfloat", ["did you mean 'bfloat16'?"]),
    (linear, "dtype", "int64", ["int64", "expected bfloat16"]),
    (linear, "models.1.parameters.weight", -1.0, ["add up to 0"]),
    (linear, "tokenizer", {"souce": "base"}, ["did you mean 'source'?"]),
    (linear, "tokenizer_source", "base", ["has no tokenizer.json"]),
    (linear, "chat_template", "chatmll", ["chatmll", "did you mean 'chatml'?", "Jinja"]),
    (ties, "base_model", DELETE, ["needs a base_model"]),
    (ties, "models.0.parameters.densty", 0.5, ["did you mean 'density'?"]),
    (ties, "models.0.parameters.density", 1.7, ["density is 1.7", "1 at most"]),
    (ties, "models.0.parameters.density", [0.5, -0.1], ["density is", "0 or more"]),
    (ties, "models.0.parameters.t", 1, ["ties has no parameter 't'"]),
    (sliced, "slices.0.sources.0.layer_range", [3, 1], ["[3,1]", "first <= last"]),
    (sliced, "slices.0.sources.0.layer_range", [0, 9], ["[0, 9)", "it has 3 layers"]),
    (sliced, "slices.0.sources.0.layer_range", [0, 1.5], ["whole numbers"]),
    (sliced, "slices.0.sources.0.layer_range", DELETE, ["no layer_range"]),
    (sliced, "slices.0.sources.0.layer_rnage", [0, 1], ["did you mean 'layer_range'?"]),
    (sliced, "slices.0.residual_weight", 1, ["no effect"]),
    (sliced, "slices.0.sources", [], ["sources is []"]),
]  # fmt: skip


@pytest.mark.parametrize(("start", "place", "value", "said"), WRONG)
def test_mistake(
    start: Any, place: str, value: Any, said: list[str], trio: list[str], tmp_path: Path
) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        lw.merge(put(start(trio), place, value), tmp_path / "out")
    message = str(caught.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "count", "base", "said"),
    [
        ("slerp", 2, True, "slerp merges exactly 1 model beside the base model"),
        ("slerp", 2, False, "needs a base_model"),
        ("nuslerp", 1, False, "exactly 2 models"),
        ("model_stock", 1, True, "at least 2 models"),
        ("nearswap", 2, True, "exactly 1 model"),
        ("passthrough", 2, False, "exactly 1 model"),
    ],
)
def test_count_of_models(
    method: str, count: int, base: bool, said: str, trio: list[str], tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {
        "merge_method": method,
        "models": [{"model": m} for m in (trio[1:] if base else trio)[:count]],
    }
    if base:
        recipe["base_model"] = trio[0]
    with pytest.raises(ValueError, match=said):
        lw.merge(recipe, tmp_path / "out")


def test_shapes_and_missing_tensors(trio: list[str], tmp_path: Path) -> None:
    tensors = models.load(Path(trio[1]))
    wide = tensors | {"model.norm.weight": torch.zeros(31)}
    models.save(tmp_path / "wide", wide)
    less = {name: value for name, value in tensors.items() if name != "model.norm.weight"}
    models.save(tmp_path / "less", less)
    words = tensors | {
        name: torch.zeros(99, 30) for name in ("model.embed_tokens.weight", "lm_head.weight")
    }
    models.save(tmp_path / "words", words, models.CONFIG | {"vocab_size": 99})
    for name, said in {
        "wide": ["'model.norm.weight'", "[30]", "[31]", "wide"],
        "less": ["'model.norm.weight'", "missing", "less"],
        "words": ["[97, 30]", "[99, 30]", "tokenizer"],
    }.items():
        with pytest.raises(ValueError, match="tensor") as caught:
            lw.merge(put(linear(trio), "models.1.model", str(tmp_path / name)), tmp_path / "out")
        for part in said:
            assert part in str(caught.value), caught.value
        assert not (tmp_path / "out").exists()


def test_output_is_never_an_input(trio: list[str], tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in Path(trio[0]).iterdir()}
    with pytest.raises((FileExistsError, ValueError)):
        lw.merge(linear(trio), trio[0])
    with pytest.raises(ValueError, match="inside"):
        lw.merge(linear(trio), Path(trio[0]) / "out")
    assert {p: p.read_bytes() for p in Path(trio[0]).iterdir()} == before
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model-00001-of-00002.safetensors").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        lw.merge(linear(trio), tmp_path / "old")


def test_quantised_is_refused(trio: list[str], tmp_path: Path) -> None:
    config = models.CONFIG | {"quantization_config": {"quant_method": "gptq"}}
    models.save(tmp_path / "gptq", models.load(Path(trio[0])), config)
    with pytest.raises(ValueError, match="'quantization_config' is gptq"):
        lw.merge(put(linear(trio), "models.1.model", str(tmp_path / "gptq")), tmp_path / "out")


def test_other_types_of_model(trio: list[str], tmp_path: Path) -> None:
    models.save(
        tmp_path / "m", models.load(Path(trio[1])), models.CONFIG | {"model_type": "mistral"}
    )
    recipe = put(linear(trio), "models.1.model", str(tmp_path / "m"))
    with pytest.raises(ValueError, match="--allow-crimes"):
        lw.merge(recipe, tmp_path / "out")
    lw.merge(recipe, tmp_path / "out", allow_crimes=True)


def test_yaml(tmp_path: Path) -> None:
    def read(text: str) -> list[dict[str, Any]]:
        (tmp_path / "r.yml").write_text(text)
        return [document.data for document in recipes.read(tmp_path / "r.yml")]

    assert read("a: .5\nb: 1e-5\nc: [0, 1]\n")[0] == {"a": 0.5, "b": 1e-5, "c": [0, 1]}
    for text, said in {
        "a: 1\na: 2\n": "key 'a' twice, line 2",
        "a: [1\n": "no YAML",
        "- 1\n": "expected keys",
        "": "empty",
        "a: 2020-01-01\n": "expected a number",
        "1: 2\n": "no text",
        "name: x\n---\nname: x\n": "two stages",
        "a: 1\n---\na: 2\n": "no name",
        "name: x\nmodels: [{model: y}]\n---\nname: y\nmodels: [{model: x}]\n": "need one another",
    }.items():
        with pytest.raises(ValueError, match=said):
            read(text)
    with pytest.raises(FileNotFoundError, match="no recipe"):
        recipes.read(tmp_path / "none.yml")
    dicts = "models:\n- model: {model: {path: x, revision: r}, lora: l}\nmerge_method: linear\n"
    assert read(dicts)[0]["models"] == [{"model": "x@r+l"}]
