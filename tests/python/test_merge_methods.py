"""Every method against its formula in float64 NumPy, on every type and odd shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models
from merging_reference import METHODS, merged
from whole_reference import BEYOND

# method -> (number of models beside the base, needs a base, parameters, parameters of each model)
CASES: dict[str, tuple[int, bool, dict[str, Any], dict[str, Any]]] = {
    "linear": (3, False, {}, {"weight": [0.3, 0.5, 0.4]}),
    "slerp": (1, True, {"t": 0.37}, {}),
    "nuslerp": (2, False, {}, {"weight": [0.3, 0.8]}),
    "multislerp": (3, False, {}, {"weight": [0.3, 0.5, 0.4]}),
    "karcher": (3, False, {}, {}),
    "task_arithmetic": (3, True, {"lambda": 0.9}, {"weight": [0.3, -0.5, 0.4]}),
    "ties": (3, True, {}, {"weight": [0.3, 0.5, 0.4], "density": [0.5, 0.21, 0.9]}),
    "dare_linear": (2, True, {}, {"weight": [0.3, 0.5], "density": [0.53, 0.3]}),
    "dare_ties": (3, True, {}, {"weight": [0.3, 0.5, 0.4], "density": [0.5, 0.3, 1.0]}),
    "breadcrumbs": (
        2, True, {}, {"weight": [0.3, 0.5], "density": [0.8, 0.5], "gamma": [0.02, 0.1]},
    ),
    "breadcrumbs_ties": (
        3, True, {"normalize": True}, {"weight": [0.3, 0.5, 0.4], "density": [0.8] * 3},
    ),
    "della": (2, True, {}, {"weight": [0.3, 0.5], "density": [0.5, 0.6], "epsilon": [0.1, 0.15]}),
    "della_linear": (2, True, {}, {"weight": [0.3, 0.5], "density": [0.5, 0.95]}),
    "sce": (3, True, {"select_topk": 0.4}, {}),
    "model_stock": (3, True, {}, {}),
    "ram": (3, True, {"epsilon": 0.05}, {}),
    "ramplus_tl": (3, True, {"epsilon": 0.05}, {}),
    "nearswap": (1, True, {"t": 0.05}, {}),
    "arcee_fusion": (1, True, {}, {}),
    "passthrough": (1, False, {}, {"scale": [0.7]}),
}  # fmt: skip
MORE = {
    "linear, equal weights": ("linear", (3, False, {}, {"weight": [0.4] * 3})),
    "linear, not normalised": ("linear", (2, False, {"normalize": False}, {"weight": [0.4, 1.1]})),
    "nuslerp of task vectors": ("nuslerp", (2, True, {}, {"weight": [0.3, 0.8]})),
    "nuslerp of rows": (
        "nuslerp",
        (2, False, {"nuslerp_flatten": False, "nuslerp_row_wise": True}, {"weight": [0.3, 0.8]}),
    ),
    "nuslerp of columns": (
        "nuslerp", (2, True, {"nuslerp_flatten": False}, {"weight": [0.3, 0.8]}),
    ),
    "multislerp of task vectors": ("multislerp", (2, True, {}, {"weight": [1.0, 2.0]})),
    "ties, rescaled": (
        "ties", (2, True, {"rescale": True}, {"weight": [1, 1], "density": [0.4, 0.2]}),
    ),
    "breadcrumbs, no outliers": (
        "breadcrumbs",
        (2, True, {}, {"weight": [1, 1], "density": [0.4, 0.2], "gamma": [0.0, 0.0]}),
    ),
    "sce of everything": ("sce", (3, True, {}, {})),
    "model_stock by rows": ("model_stock", (2, True, {"filter_wise": True}, {})),
    "dare, as it falls": (
        "dare_linear",
        (2, True, {"rescale": False}, {"weight": [1, 1], "density": [0.4, 0.2]}),
    ),
}  # fmt: skip
ALL = {name: (name, case) for name, case in CASES.items()} | MORE
KINDS = ("bf16", "fp16", "fp32", "mixed")


def test_every_method_is_here() -> None:
    assert len(CASES) == 20
    assert sorted([*CASES, *BEYOND]) == sorted(METHODS)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """checkpoints(kind): a base and three fine-tunes of it, made once."""
    made: dict[str, list[Path]] = {}

    def get(kind: str) -> list[Path]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            types = [models.TYPES.get(kind, torch.float32)] * 4
            if kind == "mixed":
                types = [torch.bfloat16, torch.float16, torch.float32, torch.bfloat16]
            base = models.random_tensors(0, torch.float64)
            made[kind] = [
                models.save(
                    folder / str(i),
                    {k: v.to(dtype) for k, v in base.items()}
                    if i == 0
                    else models.random_tensors(i, dtype, base),
                )
                for i, dtype in enumerate(types)
            ]
        return made[kind]

    return get


def recipe_of(
    method: str, case: tuple[int, bool, dict[str, Any], dict[str, Any]], folders: list[Path]
) -> dict[str, Any]:
    count, base, shared, own = case
    out: dict[str, Any] = {
        "merge_method": method,
        "models": [
            {"model": str(folders[i + 1]), "parameters": {key: own[key][i] for key in own}}
            for i in range(count)
        ],
        "parameters": shared,
    }
    return out | ({"base_model": str(folders[0])} if base else {})


def expected(
    method: str, case: Any, folders: list[Path], mode: str = "strict", seed: int = 0
) -> dict[str, np.ndarray]:
    count, base, shared, own = case
    tensors = [
        {name: value.double().numpy() for name, value in models.load(folder).items()}
        for folder in folders
    ]
    each = [{key: float(own[key][i]) for key in own} for i in range(count)]
    return {
        name: merged(
            method, name, [tensors[i + 1][name] for i in range(count)],
            tensors[0][name] if base else None, each, shared, mode, seed,
        )
        for name in tensors[0]
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", ALL)
def test_method(
    label: str, kind: str, checkpoints: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    method, case = ALL[label]
    folders = checkpoints(kind)
    lw.merge(recipe_of(method, case, folders), tmp_path / "out", seed=7)
    got = models.load(tmp_path / "out")
    want = expected(method, case, folders, seed=7)
    assert set(got) == set(want)
    loose = {"slerp", "nuslerp", "multislerp", "karcher", "model_stock"}
    right = total = 0
    for name, value in got.items():
        same, count = models.judge(name, value, want[name], 5e-6 if method in loose else 1e-6)
        right, total = right + same, total + count
    assert right >= 0.999 * total, f"{right} of {total}"
