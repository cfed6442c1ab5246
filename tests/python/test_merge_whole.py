"""Methods of whole matrices against plain NumPy, and what they are told of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
import merging_models as models
from whole_reference import (
    REFERENCE,
    WEIGHTS,
    Array,
)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A base and three tuned from it, in float32; without the largest tensor, of which SVDs are
    slow."""
    root = tmp_path_factory.mktemp("whole")
    base = models.random_tensors(0, torch.float64)
    out = []
    for seed in range(4):
        tensors = models.random_tensors(seed, torch.float64, base) if seed else base
        kept = {n: t.float() for n, t in tensors.items() if ".large." not in n}
        out.append(models.save(root / str(seed), kept))
    return out


def recipe(method: str, folders: list[Path], **parameters: Any) -> dict[str, Any]:
    own = {} if method == "wudi" else {"weight": WEIGHTS}
    return {
        "merge_method": method, "base_model": str(folders[0]), "parameters": parameters,
        "models": [
            {"model": str(f), "parameters": {key: values[i] for key, values in own.items()}}
            for i, f in enumerate(folders[1:])
        ],
    }  # fmt: skip


def numbers(folder: Path) -> dict[str, Array]:
    return {name: value.double().numpy() for name, value in models.load(folder).items()}


@pytest.mark.parametrize("method", REFERENCE)
def test_against_numpy(method: str, four: list[Path], tmp_path: Path) -> None:
    lw.merge(recipe(method, four, **{"lambda": 0.8}), tmp_path / "out")
    got = models.load(tmp_path / "out")
    base, *others = [numbers(folder) for folder in four]
    right = total = 0
    for name, value in got.items():
        want = REFERENCE[method](name, [other[name] for other in others], base[name])
        same, count = models.judge(name, value, want, 1e-6)
        right, total = right + same, total + count
    assert right >= 0.999 * total, f"{right} of {total}"


def test_what_each_is_for(four: list[Path]) -> None:
    """One task: TSV and WUDI give it back. Iso-C: every singular value is alike."""
    name = "model.layers.1.self_attn.q_proj.weight"
    state = {str(i): {name: models.load(f)[name].double()} for i, f in enumerate(four)}
    one = {"models": [{"model": "1"}], "base_model": "0"}
    for method in ("tsv", "wudi"):
        out = lw.merge_state_dicts(state, one | {"merge_method": method})[name]
        assert (out - state["1"][name]).abs().max() < 1e-12
    out = lw.merge_state_dicts(state, one | {"merge_method": "iso_c"})[name]
    values = torch.linalg.svdvals(out - state["0"][name])
    assert values.max() - values.min() < 1e-12


def test_orthogonal_tasks_do_not_touch(four: list[Path]) -> None:
    """WUDI of tasks with inputs of their own is their sum: each sees itself only."""
    name = "model.layers.1.self_attn.q_proj.weight"
    base = models.load(four[0])[name].double()
    chance = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(base.shape[1], 8, generator=chance, dtype=base.dtype))
    tasks = [torch.randn(len(base), 4, generator=chance, dtype=base.dtype) @ half.t()
             for half in (basis[:, :4], basis[:, 4:])]  # fmt: skip
    state = {"0": {name: base}} | {str(i + 1): {name: base + t} for i, t in enumerate(tasks)}
    recipe = {"merge_method": "wudi", "base_model": "0",
              "models": [{"model": "1"}, {"model": "2"}]}  # fmt: skip
    out = lw.merge_state_dicts(state, recipe)[name]
    assert (out - base - sum(tasks)).abs().max() < 1e-10


def test_threads_and_gradients(four: list[Path], tmp_path: Path) -> None:
    graded = recipe("iso_c", four, **{"lambda": [{"filter": "up_proj", "value": [0, 1]},
                                                 {"value": 0}]})  # fmt: skip
    for name, threads in (("a", 1), ("b", 2)):
        lw.merge(graded, tmp_path / name, threads=threads)
    a, b = models.load(tmp_path / "a"), models.load(tmp_path / "b")
    assert all(torch.equal(a[name], b[name]) for name in a)
    base = models.load(four[0])
    changed = {name for name in a if not torch.equal(a[name], base[name])}
    assert changed == {f"model.layers.{i}.mlp.up_proj.weight" for i in (1, 2)}


def measured(
    folders: list[Path], root: Path, kind: str
) -> tuple[list[str], list[dict[str, Array]]]:
    """Files of made-up statistics, and what is in them."""
    paths, contents = [], []
    for i, folder in enumerate(folders):
        chance = torch.Generator().manual_seed(i)
        out = {}
        for name, value in models.load(folder).items():
            if kind == "fisher":
                out[f"fisher.{name}"] = torch.rand(value.shape, generator=chance) ** 4
            elif value.ndim == 2 and ".layers." in name:
                x = torch.randn(2 * value.shape[1], value.shape[1], generator=chance)
                out[f"gram.{name}"] = x.t() @ x
        paths.append(str(root / f"{i}.safetensors"))
        save_file(out, paths[-1])
        contents.append({name: value.double().numpy() for name, value in out.items()})
    return paths, contents


def with_statistics(method: str, folders: list[Path], paths: list[str], **more: Any) -> Any:
    out = recipe(method, [folders[0], *folders], **more)
    del out["base_model"]
    entries = zip(out["models"], [*WEIGHTS, 1.0], paths, strict=False)
    for entry, weight, path in entries:
        entry["parameters"]["weight"] = weight
        entry["statistics"] = path
    return out


def test_fisher(four: list[Path], tmp_path: Path) -> None:
    paths, known = measured(four[1:], tmp_path, "fisher")
    lw.merge(with_statistics("fisher", four[1:], paths, floor=1e-3), tmp_path / "out")
    got = models.load(tmp_path / "out")
    for name, value in got.items():
        x = [numbers(folder)[name] for folder in four[1:]]
        f = [w * np.maximum(k[f"fisher.{name}"], 1e-3)
             for w, k in zip(WEIGHTS, known, strict=True)]  # fmt: skip
        want = sum(a * b for a, b in zip(f, x, strict=True)) / sum(f)
        models.judge(name, value, want, 1e-6)


@pytest.mark.parametrize("alpha", [1.0, 0.9])
def test_regmean(alpha: float, four: list[Path], tmp_path: Path) -> None:
    """alpha 1: what least squares on all models' inputs and answers finds."""
    paths, known = measured(four[1:], tmp_path, "gram")
    lw.merge(with_statistics("regmean", four[1:], paths, alpha=alpha), tmp_path / "out")
    got = models.load(tmp_path / "out")
    for name, value in got.items():
        x = [numbers(folder)[name] for folder in four[1:]]
        if f"gram.{name}" not in known[0]:
            want = sum(w * v for w, v in zip(WEIGHTS, x, strict=True)) / sum(WEIGHTS)
        else:
            grams = [k[f"gram.{name}"] for k in known]
            grams = [alpha * g + (1 - alpha) * np.diag(np.diag(g)) for g in grams]
            roots = [np.sqrt(w) * np.linalg.cholesky(g).T
                     for w, g in zip(WEIGHTS, grams, strict=True)]  # fmt: skip
            answers = np.vstack([r @ v.T for r, v in zip(roots, x, strict=True)])
            want = np.linalg.lstsq(np.vstack(roots), answers, rcond=None)[0].T
        models.judge(name, value, want, 1e-6)


def test_statistics_are_asked_for_and_checked(four: list[Path], tmp_path: Path) -> None:
    paths, _ = measured(four[1:], tmp_path, "gram")
    wrong = with_statistics("regmean", four[1:], paths)
    del wrong["models"][1]["statistics"]
    with pytest.raises(ValueError, match="has no statistics, which regmean needs"):
        lw.merge(wrong, tmp_path / "out")
    with pytest.raises(ValueError, match="holds no fisher"):
        lw.merge(with_statistics("fisher", four[1:], paths), tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no statistics at"):
        lw.merge(with_statistics("regmean", four[1:], ["/no"] * 3), tmp_path / "out")
    with pytest.raises(ValueError, match="linear needs none"):
        lw.merge(with_statistics("linear", four[1:], paths), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_moving_average(four: list[Path], tmp_path: Path) -> None:
    entries = [{"model": str(folder)} for folder in four]
    lw.merge({"merge_method": "ema", "models": entries, "parameters": {"decay": 0.7123}},
             tmp_path / "out")  # fmt: skip
    got = models.load(tmp_path / "out")
    for name, value in got.items():
        want = numbers(four[0])[name]
        for folder in four[1:]:
            want = 0.7123 * want + 0.2877 * numbers(folder)[name]
        same, count = models.judge(name, value, want, 1e-6)
        assert same >= 0.999 * count
    with pytest.raises(ValueError, match="no decay"):
        lw.merge({"merge_method": "ema", "models": entries}, tmp_path / "no")
    with pytest.raises(ValueError, match=r"decay is 1\.2"):
        lw.merge({"merge_method": "ema", "models": entries, "parameters": {"decay": 1.2}},
                 tmp_path / "no")  # fmt: skip


def test_memory_is_planned(four: list[Path], tmp_path: Path) -> None:
    """What is told covers whole tensors in float64, one for each model and one more."""
    done = lw.merge(recipe("tsv", four), tmp_path / "out", dry_run=True)
    largest = max(value.numel() for value in models.load(four[0]).values())
    assert done.memory_bytes >= 5 * 8 * largest


@pytest.mark.parametrize("method", ["ema", "iso_c", "tsv", "wudi"])
def test_no_model_is_skipped(method: str) -> None:
    """A model whose tensor has another shape is an error that names both (D16)."""
    tensors = {f"m{i}": {"model.layers.0.w": torch.ones(3, 4 + (i == 2))} for i in range(3)}
    recipe: dict[str, Any] = {
        "merge_method": method,
        "models": [{"model": f"m{i}"} for i in range(method != "ema", 3)],
        "parameters": {"decay": 0.5} if method == "ema" else {},
    }
    if method != "ema":
        recipe["base_model"] = "m0"
    with pytest.raises(ValueError, match=r"\[3, 4\].*\[3, 5\]|\[3, 5\].*\[3, 4\]"):
        lw.merge_state_dicts(tensors, recipe)
