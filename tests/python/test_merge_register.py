"""The register of defects of mergekit: `merge_register.py` says which test is of which."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import merging_models as models

NAME = "model.layers.0.w.weight"


def folders(room: Path, *tensors: torch.Tensor) -> list[Path]:
    return [models.save(room / f"m{i}", {NAME: value}) for i, value in enumerate(tensors)]


def merged(
    room: Path, method: str, paths: list[Path], mode: str = "strict", **more: Any
) -> torch.Tensor:
    """Of the first as the base and the others with weight 1 where the method has weights."""
    own = (
        {}
        if method in ("slerp", "sce", "model_stock", "arcee_fusion", "karcher")
        else {"weight": 1.0}
    )
    base = 0 if method in ("nuslerp", "karcher") else 1
    recipe: dict[str, Any] = {
        "merge_method": method,
        "models": [{"model": str(path), "parameters": own} for path in paths[base:]],
    } | more
    if base:
        recipe["base_model"] = str(paths[0])
    out = room / f"out{len(list(room.iterdir()))}"
    lw.merge(recipe, out, mode)
    return models.load(out)[NAME]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mode", ["strict", "compat"])
def test_d1_breadcrumbs_of_small_tensors(mode: str, tmp_path: Path) -> None:
    """No outliers to drop is not everything dropped."""
    base = random(9, 11)
    other = base + random(9, 11, seed=1)
    paths = folders(tmp_path, base, other)
    out = merged(tmp_path, "breadcrumbs", paths, mode, parameters={"density": 0.5})
    assert int((out != base).sum()) == int(0.5 * 99)


def test_d7_types(tmp_path: Path) -> None:
    """arcee_fusion and ramplus_tl write the type asked for, in compat float32; config says so."""
    base = random(40, 30).bfloat16()
    paths = folders(tmp_path, base, (base.float() + 0.1 * random(40, 30, seed=1)).bfloat16())
    for method in ("arcee_fusion", "ramplus_tl"):
        for mode, dtype in {"strict": "bfloat16", "compat": "float32"}.items():
            recipe = {
                "merge_method": method, "base_model": str(paths[0]), "dtype": "bfloat16",
                "models": [{"model": str(paths[1])}],
            }  # fmt: skip
            lw.merge(recipe, tmp_path / f"{method}-{mode}", mode)
            out = tmp_path / f"{method}-{mode}"
            assert str(models.load(out)[NAME].dtype) == f"torch.{dtype}"
            assert json.loads((out / "config.json").read_text())["dtype"] == dtype


def test_d8_quantiles_of_large_tensors_are_exact(tmp_path: Path) -> None:
    base = random(1100, 1000)
    other = base + 0.3 * random(1100, 1000, seed=1)
    out = merged(tmp_path, "arcee_fusion", folders(tmp_path, base, other))
    from merging_reference import arcee_fusion

    want = arcee_fusion([other.double().numpy()], base.double().numpy(), [{}], {}, "strict")
    models.judge(NAME, out, want)


def test_d9_sce_weighs_small_differences(tmp_path: Path) -> None:
    """Differences of 1e-4, 2e-4 and 3e-4, as fine-tunes have them."""
    size = random(60, 70).abs() + 0.5  # all of one sign: no term is erased
    base = torch.zeros(60, 70)
    paths = folders(tmp_path, base, *(1e-4 * k * size for k in (1, 2, 3)))
    share = np.array([1.0, 4.0, 9.0]) / 14
    for mode, weights in {"strict": share, "compat": np.full(3, 1 / 3)}.items():
        out = merged(tmp_path, "sce", paths, mode)
        want = size.double().numpy() * 1e-4 * float(weights @ np.array([1.0, 2.0, 3.0]))
        assert np.allclose(out.double().numpy(), want, rtol=1e-5)


def test_d10_model_stock_of_small_and_opposite_differences(tmp_path: Path) -> None:
    base = random(30)
    delta = 1e-7 * random(30, seed=1).double()
    paths = [
        models.save(tmp_path / f"d{i}", {NAME: value})
        for i, value in enumerate((base.double(), base + delta, base + delta))
    ]
    out = merged(tmp_path, "model_stock", paths)
    assert torch.allclose(out - base, delta, rtol=1e-6)  # equal differences: all of it
    out = merged(tmp_path, "model_stock", paths, "compat")
    assert float((out - base).norm() / delta.norm()) < 1e-4  # as mergekit: next to nothing of it
    paths = folders(
        tmp_path, base, base + 0.1 * random(30, seed=2), base - 0.1 * random(30, seed=2)
    )
    assert torch.equal(merged(tmp_path, "model_stock", paths), base)  # opposite ones: none of it


def test_d14_slerp_of_a_zero_vector(tmp_path: Path) -> None:
    value = random(8, 9)
    paths = folders(tmp_path, torch.zeros(8, 9), value)
    for mode, factor in {"strict": 0.5, "compat": 0.5**0.5}.items():
        out = merged(tmp_path, "slerp", paths, mode, parameters={"t": 0.5})
        assert torch.allclose(out, factor * value, rtol=1e-6)


def test_d15_nearly_opposite_vectors(tmp_path: Path) -> None:
    value = random(40, 50)
    other = -2 * value + 1e-3 * random(40, 50, seed=1)  # norms that cannot cancel
    paths = folders(tmp_path, value, other)
    norms = {}
    recipe = {
        "merge_method": "nuslerp",
        "models": [
            {"model": str(path), "parameters": {"weight": w}}
            for path, w in zip(paths, (0.3, 0.7), strict=True)
        ],
    }
    for mode in ("strict", "compat"):
        lw.merge(recipe, tmp_path / mode, mode)
        norms[mode] = float(models.load(tmp_path / mode)[NAME].norm() / value.norm())
    assert norms["compat"] > 100  # as mergekit does
    assert norms["strict"] < 2


def test_d15_rows_are_rows(tmp_path: Path) -> None:
    a, b = random(6, 50), random(6, 50, seed=1)
    paths = folders(tmp_path, a, b)
    line = {"nuslerp_flatten": False, "nuslerp_row_wise": True}
    out = merged(tmp_path, "nuslerp", paths, parameters=line)
    for row in range(6):
        alone = tmp_path / f"row{row}"
        alone.mkdir()
        want = merged(alone, "nuslerp", folders(alone, a[row], b[row]))
        assert torch.allclose(out[row], want, rtol=1e-6)


def test_d24_time_grows_with_the_number_of_tensors(tmp_path: Path) -> None:
    seconds = []
    for count in (2000, 16000):
        tensors = {f"model.layers.0.e.{i}.weight": torch.ones(2, 2) * i for i in range(count)}
        paths = [models.save(tmp_path / f"{count}-{i}", tensors) for i in range(2)]
        recipe = {
            "merge_method": "linear",
            "models": [{"model": str(path), "parameters": {"weight": 1.0}} for path in paths],
        }
        times = []
        for turn in range(3):  # the least: whatever else runs only adds
            start = time.process_time()
            lw.merge(recipe, tmp_path / f"{count}-out{turn}", threads=1)
            times.append(time.process_time() - start)
        seconds.append(min(times))
    assert seconds[1] < 24 * seconds[0]  # eight times, not sixty-four


def test_d28_d29_nothing_is_trusted(tmp_path: Path) -> None:
    """An index that leads out of its folder is refused before anything is read."""
    paths = folders(tmp_path, random(3, 3), random(3, 3))
    (paths[1] / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    index = {"weight_map": {NAME: "../elsewhere.safetensors"}}
    (paths[1] / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(lw.CheckpointError, match="elsewhere"):
        merged(tmp_path, "task_arithmetic", paths)


def test_d33_shards_are_counted_in_bytes(tmp_path: Path) -> None:
    tensors = {f"model.layers.{i}.w.weight": random(64, 64, seed=i) for i in range(3)}
    folder = models.save(tmp_path / "m", tensors)
    recipe = {"merge_method": "passthrough", "models": [{"model": str(folder)}]}
    lw.merge(recipe, tmp_path / "out", shard_size=2 * 64 * 64 * 4)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    from lenswright.merging.merge import byte_count

    assert [byte_count(x) for x in ("5B", "5GB", "200M", "1.5KB", 7)] == [
        5 * 10**9, 5 * 10**9, 200 * 10**6, 1500, 7,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="shard size is 'big'"):
        byte_count("big")
