"""Steerings that are refused: damaged, wrong, or for another model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import embedded
import lenswright as lw
from editing import loaded

Tiny = Callable[..., Path]
steering = lw.steering
V = torch.ones(30)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["terms"][0].pop("operation"),
        lambda facts: facts["terms"][0].update(operation="ad"),
        lambda facts: facts["terms"][0].update(strength=float("inf")),
        lambda facts: facts["terms"].append(facts["terms"][0]),
        lambda facts: facts.pop("terms"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    path = tmp_path / "s.safetensors"
    steering.add(V, 1.0, layers=1).save(path)
    facts = {"terms": [steering_facts(path)]}
    change(facts)
    spoilt = tmp_path / "spoilt.safetensors"
    save_file(load_file(path), spoilt, {"lenswright.steering": json.dumps(facts)})
    with pytest.raises(ValueError, match=r"damaged|operation is|strength is"):
        steering.load(spoilt)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steering.add(torch.zeros(30), 1.0, layers=1), "direction is zero, expected a dir"),
        (lambda: steering.add(V * torch.nan, 1.0, layers=1), "direction has numbers that are not"),
        (lambda: steering.add({1: V, 2: 0 * V}, 1.0), "direction of layer 2 is zero"),
        (lambda: steering.add({1: V, 2: V[1:]}, 1.0), r"sizes \{1: 30, 2: 29\}, expected one size"),
        (lambda: steering.add({}, 1.0), "empty mapping"),
        (lambda: steering.add(torch.ones(2, 30), 1.0, layers=1), r"shape \[2, 30\], expected"),
        (lambda: steering.add(V, 1.0), "layers is missing, expected a layer, several, or 'all'"),
        (lambda: steering.add(V, 1.0, layers="al"), "layers is 'al', expected whole numbers or"),
        (lambda: steering.add(V, 1.0, layers=[]), "layers is empty"),
        (lambda: steering.add(V, 1.0, layers=[1, 1]), r"\[1, 1\], expected none twice"),
        (lambda: steering.add(V, 1.0, layers=[1.5]), "layers has 1.5"),
        (lambda: steering.add({1: V}, 1.0, layers=2), r"direction has vectors of \[1\] only"),
        (lambda: steering.add(V, float("nan"), layers=1), "strength is nan, expected a finite"),
        (lambda: steering.add(V, 1.0, "norm", layers=1), r"unit is 'norm', expected one of"),
        (lambda: steering.add(V, 1.0, "relative", layers=1), "needs norms: {layer: mean norm}"),
        (lambda: steering.add(V, 1.0, norms={1: 2.0}, layers=1), "expected 'relative'"),
        (lambda: steering.add(V, 1.0, "relative", {2: 2.0}, layers=1), r"norms has \[2\] only"),
        (lambda: steering.add(V, 1.0, "relative", {1: 0.0}, layers=1), "expected positive numbers"),
        (lambda: steering.cap(V, 1.5, "token", layers=1), "strength is 1.5, expected -1 to 1"),
        (lambda: steering.make("ad", V, layers=1), "operation is 'ad'.*did you mean 'add'"),
        (lambda: steering.make("project", V, unit="own", layers=1), "'project' has none"),
        (lambda: steering.make("swap", V, layers=1), "other is missing, but operation is 'swap'"),
        (lambda: steering.swap(V, 2 * V, layers=1), "are the same direction, expected two"),
        (lambda: steering.swap(V, torch.ones(29), layers=1), "other has 29 numbers, expected 30"),
        (lambda: steering.add(V, 1.0, layers=1, positions="decod"), "did you mean 'decode'"),
        (lambda: steering.add(V, 1.0, layers=1, positions=[]), "positions is empty"),
        (lambda: steering.add(V, 1.0, layers=1, positions=slice(3, 3)), "holds no position"),
        (lambda: steering.add(V, 1.0, layers=1, positions=slice(0, 4, 2)), "step 1"),
        (lambda: steering.add(V, 1.0, layers=1, over_tokens={}), "over_tokens is empty"),
        (lambda: steering.add(V, 1.0, layers=1, over_tokens={-1: 1.0}), "whole numbers from 0"),
        (lambda: steering.when(V, 1.0, "token"), "threshold is 1, expected a cosine between"),
        (lambda: steering.when(V, float("inf")), "threshold is inf, expected a finite number"),
        (lambda: steering.when(V, 1.0, "own"), "unit of when is 'own'"),
        (lambda: steering.add(V, 1.0, layers=1) + steering.project(V[1:], layers=1), "29, 30"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_at_once(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_wrong_kinds_are_refused() -> None:
    for call, message in (
        (lambda: steering.add([1.0] * 30, 1.0, layers=1), "direction is list, expected a tensor"),
        (lambda: steering.add(torch.ones(30, dtype=torch.int64), 1.0, layers=1), "is torch.int64"),
        (lambda: steering.add(V, "4", layers=1), "strength is str, expected a number"),
        (lambda: steering.add(V, 1.0, layer=1), r"no argument 'layer'; did you mean 'lay"),
        (lambda: steering.add(V, 1.0, layers=1, when=V), r"expected lw\.steering\.when"),
        (lambda: embedded.model().generate("x", steering=V), "steering is Tensor, expected"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(TypeError):
        steering.add(V, 1.0, layers=1) * "2"  # type: ignore[operator]


def test_other_models_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    wide = lw.load(tiny("llama-grouped"))
    value = steering.add(V, 1.0, layers=1)
    refused = [
        (value, wide, ValueError, "directions of 30 numbers, but d_model is 40: .* another model"),
        (steering.add(V, 1.0, layers=3), model, IndexError, "layers has 3, expected -3 to 2"),
        (steering.add(V, 1.0, layers=[-1, 2]), model, ValueError, "names a layer of 3 twice"),
        (steering.add(V, 1.0, layers=1, at="resid_prep"), model, KeyError, "did you mean 'blocks"),
        (steering.add(V, 1.0, layers=1, at="attn.hook_z"), model, KeyError, "no point of this"),
        (steering.add({0: V}, 1.0, layers="all"), model, ValueError, r"vectors of \[0\] only"),
    ]
    for bad, where, error, message in refused:
        with pytest.raises(error, match=message), where.steered(bad):
            pass
        with pytest.raises(error, match=message):
            where.generate([[1, 2]], 1, steering=bad)
    half = loaded(tiny, tmp_path, "gpt2", "float16", "float16")
    with (
        half.steered(steering.add(V, 1e6, layers=1)),
        pytest.raises(ValueError, match="float16 holds"),
    ):
        half([[1, 2]])


def test_a_direction_says_which_model_it_is_from(tiny: Tiny, tmp_path: Path) -> None:
    model = embedded.model()
    stats = model.collect(embedded.splits().fit, points="blocks.2.hook_resid_pre", positions="last")
    value = steering.add(lw.directions.difference_of_means(stats), 1.0)
    with model.steered(value):
        model([[1, 2, 3]])
    made = value.terms[0].source["model"]
    made["config_sha256"] = "0" * 64
    with (
        pytest.warns(UserWarning, match=r"whose config\.json holds other settings"),
        model.steered(value),
    ):
        pass
    made["n_layers"] = 7
    with pytest.raises(
        ValueError, match=r"was made with .* \(7 layers of 96\), expected this model"
    ):
        model.generate([[1, 2]], 1, steering=value)


def steering_facts(path: Path) -> Any:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return json.loads(header["__metadata__"]["lenswright.steering"])["terms"][0]
