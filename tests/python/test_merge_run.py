"""How a merge is run: the same bytes whatever the threads, shards and order; nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models
from test_merge_methods import ALL, CASES, recipe_of


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return models.base_and_tuned(tmp_path_factory.mktemp("four"), 3, torch.bfloat16)


@pytest.mark.parametrize("label", ALL)
def test_threads_shards_and_places(label: str, four: list[Path], tmp_path: Path) -> None:
    method, case = ALL[label]
    lw.merge(recipe_of(method, case, four), tmp_path / "one", threads=1, seed=3)
    moved = [
        models.save(tmp_path / f"moved{i}", models.load(folder), shards=i + 1)
        for i, folder in enumerate(four)
    ]
    recipe = recipe_of(method, case, moved)
    lw.merge(recipe, tmp_path / "two", threads=2, seed=3, shard_size="50KB")
    assert len(list((tmp_path / "two").glob("*.safetensors"))) >= 3
    assert models.hashes(tmp_path / "one") == models.hashes(tmp_path / "two")


ANY_ORDER = [label for label, (_, case) in ALL.items() if case[0] > 1]


@pytest.mark.parametrize("label", ANY_ORDER)
def test_order_of_models(label: str, four: list[Path], tmp_path: Path) -> None:
    """Not a byte depends on it, random numbers, sums and elections included."""
    method, (count, base, shared, own) = ALL[label]
    recipe = recipe_of(method, (count, base, shared, own), four) | {"out_dtype": "float32"}
    orders = [list(range(count)), list(range(count))[::-1], [*range(1, count), 0]]
    found = []
    for number, order in enumerate(orders):
        entries = [recipe["models"][i] for i in order]
        lw.merge(recipe | {"models": entries}, tmp_path / str(number), seed=1, threads=1 + number)
        found.append(models.hashes(tmp_path / str(number)))
    assert found[0] == found[1] == found[2]


def test_seeds(four: list[Path], tmp_path: Path) -> None:
    recipe = recipe_of("dare_linear", CASES["dare_linear"], four)
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        lw.merge(recipe, tmp_path / name, seed=seed)
    assert models.hashes(tmp_path / "a") == models.hashes(tmp_path / "b")
    assert models.hashes(tmp_path / "a") != models.hashes(tmp_path / "c")


def test_dare_keeps_what_it_should(four: list[Path], tmp_path: Path) -> None:
    name = "model.layers.1.mlp.large.weight"
    base, model = (models.load(four[i])[name].double() for i in (0, 1))
    density = 0.3
    recipe = recipe_of("dare_linear", (1, True, {}, {"weight": [1.0], "density": [density]}), four)
    recipe["out_dtype"] = "float32"
    kept, means = [], torch.zeros_like(base)
    for seed in range(8):
        lw.merge(recipe, tmp_path / str(seed), seed=seed)
        out = models.load(tmp_path / str(seed))[name].double()
        kept.append(int(((out != base) & (model != base)).sum()))
        means += out / 8
    there = int((model != base).sum())
    sigma = (density * (1 - density) * there) ** 0.5
    assert all(abs(k - density * there) < 5 * sigma for k in kept)
    # The expectation is the model itself: the mean error of n elements falls as 1 / sqrt(n).
    error = (means - model).sum() / (model - base).abs().sum()
    assert abs(float(error)) < 5 / there**0.5 * 2


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_ties_where_many_deltas_are_equal(kind: str, tmp_path: Path) -> None:
    """bf16 deltas are coarse: a fifth are equal to the threshold. The first of them are kept, by
    their place in the tensor, whatever the threads."""
    generator = torch.Generator().manual_seed(0)
    shape = models.SHAPES["model.layers.1.mlp.large.weight"]
    steps = torch.randint(-3, 4, shape, generator=generator).double()
    # of bf16: a base of around 1, whose next numbers lie 1/128 away
    unit = 1.0 if kind == "fp32" else 2.0**-7
    base = torch.zeros(shape) if kind == "fp32" else torch.full(shape, 1.5)
    dtype = models.TYPES[kind]
    folders = [
        models.save(
            tmp_path / str(i), {"model.layers.0.w.weight": (base + steps * unit * i).to(dtype)}
        )
        for i in range(2)
    ]
    recipe = recipe_of("ties", (1, True, {}, {"weight": [1.0], "density": [0.5]}), folders)
    k, sizes = int(0.5 * steps.numel()), steps.abs().flatten()
    threshold = float(sizes.sort(descending=True).values[k - 1])
    equal = (sizes == threshold).nonzero().flatten()
    assert len(equal) > 0.2 * len(sizes)
    kept = k - int((sizes > threshold).sum())
    for threads in (1, 2):
        lw.merge(recipe, tmp_path / f"out{threads}", threads=threads)
        out = models.load(tmp_path / f"out{threads}")["model.layers.0.w.weight"].double()
        out = ((out - base) / unit).flatten()
        assert int((out != 0).sum()) == k
        assert torch.equal(out[equal[:kept]].abs(), sizes[equal[:kept]])
        assert not out[equal[kept:]].any()


@pytest.mark.parametrize("label", ALL)
def test_not_a_number_stays_one(label: str, four: list[Path], tmp_path: Path) -> None:
    """NaN in one place of one model is NaN there in the result, and the report says so."""
    method, case = ALL[label]
    name = "model.layers.1.mlp.large.weight"
    tensors = models.load(four[1])
    tensors[name][5, 7] = float("nan")
    spoilt = [four[0], models.save(tmp_path / "nan", tensors), *four[2:]]
    done = lw.merge(recipe_of(method, case, spoilt), tmp_path / "out")
    out = models.load(tmp_path / "out")
    assert all(value.isfinite().all() for key, value in out.items() if key != name)
    dropped = method.startswith(("dare", "della", "breadcrumbs", "arcee"))
    if not dropped:
        assert out[name][5, 7].isnan()
    assert done.not_finite.get(name, 0) == int((~out[name].isfinite()).sum())


def test_interrupted(four: list[Path], tmp_path: Path) -> None:
    """Killed while it writes, nothing that loads is left; after Ctrl-C nothing at all."""
    big = {f"model.layers.{i}.w.weight": torch.randn(2048, 2048) for i in range(16)}
    config = models.CONFIG | {"num_hidden_layers": 16, "layer_types": ["full_attention"] * 16}
    folder = models.save(tmp_path / "in", big, config)
    other = models.save(tmp_path / "other", {n: v + 1e-3 * v for n, v in big.items()}, config)
    own = {"weight": 1.0, "density": 0.5}
    recipe = {
        "merge_method": "della", "base_model": str(folder),
        "models": [{"model": str(other), "parameters": own}],
    }  # fmt: skip
    (tmp_path / "recipe.yml").write_text(json.dumps(recipe))
    for how in (signal.SIGKILL, signal.SIGINT):
        before = set(os.listdir(tmp_path))
        command = [sys.executable, "-m", "lenswright", "merge", "recipe.yml", "out", "-j1"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
        hidden: set[str] = set()
        while process.poll() is None and not hidden:
            hidden = {n for n in os.listdir(tmp_path) if n.startswith(".out.partial")}
            time.sleep(0.002)
        process.send_signal(how)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        assert process.returncode != 0, "it was done before it could be interrupted"
        assert not (tmp_path / "out").exists()
        left = set(os.listdir(tmp_path)) - before
        assert left == (hidden if how == signal.SIGKILL else set())
        for name in left:
            with pytest.raises((lw.CheckpointError, FileNotFoundError)):
                lw.Checkpoint(tmp_path / name)
            shutil.rmtree(tmp_path / name)


def test_cancelled_by_a_callback(four: list[Path], tmp_path: Path) -> None:
    from lenswright import _files

    recipe = json.dumps(recipe_of("linear", CASES["linear"], four))
    inputs = [(str(folder), folder) for folder in four[1:]]
    plan = _files.plan_merge(recipe, "recipe", inputs)
    with pytest.raises(lw.Cancelled):
        plan.run(tmp_path / "out", [], lambda done, total: False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["linear", "slerp", "ties", "dare_ties", "passthrough"])
def test_state_dicts(method: str, four: list[Path], tmp_path: Path) -> None:
    recipe = recipe_of(method, CASES[method], four)
    lw.merge(recipe, tmp_path / "out", seed=5)
    loaded = {str(folder): models.load(folder) for folder in four}
    got = lw.merge_state_dicts(loaded, recipe, seed=5)
    want = models.load(tmp_path / "out")
    assert set(got) == set(want)
    for name, value in want.items():
        assert value.dtype == got[name].dtype
        assert torch.equal(value, got[name])


def test_progress_counts_what_is_written(four: list[Path], tmp_path: Path) -> None:
    from lenswright import _files

    recipe = json.dumps(recipe_of("slerp", CASES["slerp"], four))
    plan = _files.plan_merge(recipe, "recipe", [(str(four[0]), four[0]), (str(four[1]), four[1])])
    seen: list[tuple[int, int]] = []
    plan.run(tmp_path / "out", [], lambda *now: seen.append(now))
    assert seen[-1] == (plan.write_bytes, plan.write_bytes)
    assert sorted(seen) == seen
    total = sum(value.numel() * 2 for value in models.load(tmp_path / "out").values())
    assert plan.write_bytes == total
    assert np.isfinite(plan.memory(2))
