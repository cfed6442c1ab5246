"""compat against mergekit 0.1.5 itself, run as installed, in float32 on small Llama models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import against_mergekit
import lenswright as lw
import merging_models as models
from test_merge_methods import ALL, recipe_of


def gradient(folders: list[Path]) -> dict[str, Any]:
    """The best known slerp: attention from one side, MLP from the other, straight elsewhere."""
    t = [
        {"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]},
        {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]},
        {"value": 0.5},
    ]
    sources = [{"model": str(folder), "layer_range": [0, 3]} for folder in folders[:2]]
    return {
        "slices": [{"sources": sources}], "merge_method": "slerp", "base_model": str(folders[0]),
        "parameters": {"t": t},
    }  # fmt: skip


def grammar(folders: list[Path]) -> dict[str, dict[str, Any]]:
    a, b, c = (str(folder) for folder in folders[:3])
    return {
        "slerp with filters and gradients": gradient(folders),
        "frankenmerge": {
            "slices": [
                {"sources": [{"model": a, "layer_range": [0, 2]}]},
                {"sources": [{"model": b, "layer_range": [1, 3]}]},
            ],
            "merge_method": "passthrough",
        },
        "conditional weights": {
            "models": [
                {"model": a,
                 "parameters": {"weight": [{"filter": "lm_head", "value": 0}, {"value": 1.0}]}},
                {"model": b, "parameters": {"weight": 0.5}},
            ],
            "merge_method": "linear",
        },
        "gradient of a whole model": {
            "models": [
                {"model": a, "parameters": {"weight": [0, 1]}},
                {"model": b, "parameters": {"weight": [1, 0.25]}},
            ],
            "merge_method": "linear",
        },
        "ties with gradients": {
            "models": [
                {"model": a},
                {"model": b, "parameters": {"weight": 0.4, "density": [1, 0.7, 0.1]}},
                {"model": c, "parameters": {
                    "weight": [{"filter": "mlp", "value": 0.5}, {"value": 0}], "density": 0.33}},
            ],
            "merge_method": "ties", "base_model": a,
            "parameters": {"normalize": True, "int8_mask": True, "lambda": 1.0},
        },
        "bases and parameters by slice": {
            "slices": [
                {"sources": [{"model": m, "layer_range": [0, 2]} for m in (a, b)],
                 "base_model": a, "parameters": {"t": 0.2}},
                {"sources": [{"model": m, "layer_range": [2, 3]} for m in (a, b)],
                 "base_model": b, "parameters": {"t": [0.2, 0.8]}},
            ],
            "merge_method": "slerp",
        },
        "a longer last slice": {
            "slices": [
                {"sources": [{"model": a, "layer_range": [0, 2], "parameters": {"weight": 1}}]},
                {"sources": [{"model": a, "layer_range": [2, 3], "parameters": {"weight": 1}},
                             {"model": b, "layer_range": [2, 3], "parameters": {"weight": 3}}]},
            ],
            "merge_method": "linear",
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., Path]) -> list[Path]:
    """A base and three fine-tunes of it, Llama, float32."""
    base = models.load(tiny("llama"))
    config = json.loads((tiny("llama") / "config.json").read_text())
    out = [models.save(tmp_path_factory.mktemp("m") / "base", base, config)]
    for seed in (1, 2, 3):
        generator = torch.Generator().manual_seed(seed)
        near = {
            name: value + 0.1 * torch.randn(value.shape, generator=generator)
            for name, value in base.items()
        }
        out.append(models.save(tmp_path_factory.mktemp("m") / f"m{seed}", near, config))
    return out


@pytest.fixture(scope="module")
def recipes(folders: list[Path]) -> dict[str, dict[str, Any]]:
    out = {label: recipe_of(method, case, folders) for label, (method, case) in ALL.items()}
    out |= grammar(folders)
    for recipe in out.values():
        recipe["dtype"] = "float32"
        for model in recipe.get("models", []):  # 0.1.5 wants no densities of 1 - epsilon and less
            own = model.get("parameters", {})
            if recipe["merge_method"].startswith("della") and own.get("density", 0) > 0.85:
                own["density"] = 0.8
    return out


@pytest.fixture(scope="module")
def theirs(
    recipes: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], Path]:
    """What mergekit said to each recipe ("" when it went well), and where its results are."""
    room = tmp_path_factory.mktemp("mergekit")
    return against_mergekit.merged(recipes, room), room


LABELS = [*ALL, "slerp with filters and gradients", "frankenmerge", "conditional weights",
          "gradient of a whole model", "ties with gradients", "bases and parameters by slice",
          "a longer last slice"]  # fmt: skip
RANDOM = ("dare", "della")


@pytest.mark.parametrize("label", LABELS)
def test_compat(
    label: str, recipes: dict[str, dict[str, Any]], theirs: tuple[dict[str, str], Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    answers, room = theirs
    assert answers[label] == "", answers[label]
    lw.merge(recipes[label], tmp_path / "out", "compat", seed=1)
    ours = models.load(tmp_path / "out")
    reference = models.load(room / str(list(recipes).index(label)))
    assert set(ours) == set(reference)
    for name, want in reference.items():
        assert ours[name].dtype == want.dtype, name
        assert ours[name].shape == want.shape, name
        if label.startswith(RANDOM):
            continue
        if label == "arcee_fusion":  # its threshold is the float32 of a quantile
            assert float((ours[name] == want).double().mean()) >= 0.99, name
            continue
        a, b = ours[name].double(), want.double()
        error = float((a - b).norm() / b.norm().clamp(min=1e-30))
        limit = 1e-5 if "slerp" in label else 2e-6
        assert error <= limit, f"{name}: {error:.2e}"


@pytest.mark.parametrize("label", [label for label in ALL if label.startswith(RANDOM)])
def test_compat_of_what_is_drawn(
    label: str, recipes: dict[str, dict[str, Any]], folders: list[Path],
    theirs: tuple[dict[str, str], Path], tmp_path: Path,
) -> None:  # fmt: skip
    """Other random numbers of the same distribution: on average as much is left of a model."""
    answers, room = theirs
    assert answers[label] == "", answers[label]
    lw.merge(recipes[label], tmp_path / "out", "compat", seed=1)
    ours = models.load(tmp_path / "out")
    reference = models.load(room / str(list(recipes).index(label)))
    base = models.load(folders[0])
    sizes = [
        sum(float((one[name] - base[name]).double().abs().sum()) for name in base)
        for one in (ours, reference)
    ]
    assert abs(sizes[0] / sizes[1] - 1) < 0.03
