"""Whichever library a process loads first, the same process can run, edit and merge models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CODE = """
import sys
import torch
first, folder, out = sys.argv[1:]
__import__(f"lenswright.{first}")
import lenswright as lw
from lenswright import edits

model = lw.load(folder)
edit = edits.ablate(model, torch.ones(model.cfg.d_model))
edit.commit(folder, out + "/edited", progress=False)
half = [{"model": name, "parameters": {"weight": 0.5}} for name in (folder, out + "/edited")]
lw.merge({"merge_method": "linear", "models": half}, out + "/merged")
layers = [{"sources": [{"model": folder, "layer_range": [0, 1]}]}] * 2
lw.merge({"merge_method": "passthrough", "slices": layers}, out + "/stacked")
lw.merge({"merge_method": "arcee_fusion", "base_model": folder,
          "models": [{"model": out + "/edited"}]}, out + "/fused")
print(lw.load(out + "/merged")(torch.arange(4)[None]).shape[1])
"""


@pytest.mark.parametrize("first", ["_core", "_files"])
def test_a_process_may_load_either_first(
    first: str, tiny: Callable[..., Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CODE, first, str(tiny("llama")), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
