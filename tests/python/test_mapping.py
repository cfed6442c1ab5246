"""Tensors as views of mapped files: what they cost, and files that change while open."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lenswright as lw
from lenswright import _files
from support import write


def test_tensors_share_the_private_map(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", a=torch.ones(1000))
    before = path.read_bytes()
    checkpoint = lw.Checkpoint(path)
    first, again = checkpoint["a"], checkpoint["a"]
    assert first.data_ptr() == again.data_ptr()
    first.mul_(3)
    assert again[0] == 3
    assert path.read_bytes() == before
    assert lw.Checkpoint(path)["a"][0] == 1
    del checkpoint, again
    gc.collect()
    assert first.sum() == 3000  # the map lives as long as a tensor needs it


def test_mapping_is_free_until_used(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", a=torch.ones(25_000_000))
    code = f"""
import lenswright as lw, torch
def private():
    lines = open('/proc/self/smaps_rollup').readlines()
    return sum(int(l.split()[1]) for l in lines if l.startswith('Anonymous'))
start = private()
tensor = lw.Checkpoint({str(path)!r})['a']
assert tensor.sum() == 25_000_000
print(private() - start)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) < 20_000  # kB, of 100 MB


def test_unaligned_tensors_are_copied(tmp_path: Path) -> None:
    writer = _files.FileWriter(tmp_path / "x.safetensors", [("a", "U8", [3]), ("b", "F64", [2])])
    writer.write("a", 0, b"xyz")
    writer.write("b", 0, bytes(torch.tensor([1.5, -2.0], dtype=torch.float64).numpy()))
    writer.finish()
    checkpoint = lw.Checkpoint(tmp_path / "x.safetensors")
    assert checkpoint.native.data("b").address % 8 != 0
    assert checkpoint["b"].data_ptr() % 8 == 0
    assert checkpoint["b"].tolist() == [1.5, -2.0]


def test_truncated_while_open(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", a=torch.ones(1000))
    checkpoint = lw.Checkpoint(path)
    _ = checkpoint["a"]
    os.truncate(path, 100)
    with pytest.raises(lw.CheckpointError, match="shrank from") as caught:
        _ = checkpoint["a"]
    assert caught.value.flaw == "changed"
    with pytest.raises(lw.CheckpointError, match="byte"):
        lw.Checkpoint(path)


def test_a_replaced_file_is_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", a=torch.ones(10))
    checkpoint = lw.Checkpoint(path)
    path.unlink()
    write(path, a=torch.zeros(10))
    with pytest.raises(lw.CheckpointError, match="changed after it was opened"):
        _ = checkpoint["a"]
