"""How much memory a merge takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models
from test_merge_methods import CASES, recipe_of


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return models.base_and_tuned(tmp_path_factory.mktemp("four"), 3, torch.bfloat16)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Private memory does not grow with the tensor, and stays below what the plan says."""
    script = """
import sys, threading, json
from pathlib import Path
import lenswright as lw

def private():
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * int(text.split("Anonymous:")[1].split()[0])

peak, stop = [0], threading.Event()
def watch():
    while not stop.wait(0.002):
        peak[0] = max(peak[0], private())
base = private()
thread = threading.Thread(target=watch); thread.start()
done = lw.merge(json.loads(sys.argv[1]), sys.argv[2], threads=2)
stop.set(); thread.join()
print(peak[0] - base, done.memory_bytes)
"""
    folders = []
    for i in range(3):
        tensors = {"model.layers.0.w.weight": torch.randn(4096, 4096).bfloat16() * (1 + i)}
        folders.append(models.save(tmp_path / str(i), tensors))
    for method, case in {
        "linear": (2, False, {}, {"weight": [1.0, 1.0]}),
        "ties": (2, True, {}, {"weight": [1.0, 1.0], "density": [0.5, 0.5]}),
    }.items():
        recipe: dict[str, Any] = recipe_of(method, case, folders)
        out = subprocess.run(
            [sys.executable, "-c", script, json.dumps(recipe), str(tmp_path / method)],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        used, promised = int(out[0]), int(out[1])
        assert used <= promised
        assert promised < 200e6


def test_a_limit_of_memory_is_kept(four: list[Path], tmp_path: Path) -> None:
    """Fewer threads, fewer tensors at once, the same bytes; what is not enough is told apart."""
    recipe = recipe_of("ties", CASES["ties"], four)
    free = lw.merge(recipe, tmp_path / "free", threads=4)
    least = lw.merge(recipe, tmp_path / "one", threads=1, memory=free.memory_bytes)
    assert least.memory_bytes < free.memory_bytes
    limit = (least.memory_bytes + free.memory_bytes) // 2
    plan = lw.merge(recipe, tmp_path / "kept", threads=4, memory=limit, dry_run=True)
    assert plan.memory_bytes <= limit
    kept = lw.merge(recipe, tmp_path / "kept", threads=4, memory=limit)
    assert kept.memory_bytes == plan.memory_bytes
    assert models.hashes(tmp_path / "kept") == models.hashes(tmp_path / "free")
    with pytest.raises(ValueError, match=r"memory is 1000000 bytes, expected at least \d+, for"):
        lw.merge(recipe, tmp_path / "none", memory="1MB")
    with pytest.raises(ValueError, match="memory is 'much', expected a size such as 5GB"):
        lw.merge(recipe, tmp_path / "none", memory="much")
    assert not (tmp_path / "none").exists()
