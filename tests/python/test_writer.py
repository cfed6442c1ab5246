"""Writing: whole or not at all, never over anything, from any thread."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import safetensors.torch
import torch

import lenswright as lw
from lenswright import _files

SHARDS, ROWS, PIECE = 4, 24, 65536

CHILD = """
from concurrent.futures import ThreadPoolExecutor
from lenswright import _files
SHARDS, ROWS, PIECE = {sizes}
source = _files.Checkpoint({source!r})
print("ready", flush=True)
with _files.FolderWriter({target!r}, [{source!r}]) as out:
    out.write_text("config.json", "{{}}")
    for s in range(SHARDS):
        name = f"t{{s}}"
        tensors = [(name, "U8", [ROWS, PIECE]), (f"c{{s}}", "F32", [100])]
        writer = out.shard(f"model-{{s}}.safetensors", tensors)
        with ThreadPoolExecutor(2) as pool:
            fill = lambda r: writer.write(name, r * PIECE, bytes([s * 50 + r]) * PIECE)
            list(pool.map(fill, range(ROWS)))
        writer.copy(f"c{{s}}", source, "a")
    out.write_index()
    out.copy_file({source!r} + "/tokenizer.json")
    out.commit()
print("done", flush=True)
"""


def content(shard: int, row: int) -> bytes:
    return bytes([shard * 50 + row]) * PIECE


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    safetensors.torch.save_file({"a": torch.arange(100.0)}, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def start(source: Path, target: Path) -> subprocess.Popen[str]:
    sizes = (SHARDS, ROWS, PIECE)
    code = CHILD.format(sizes=sizes, source=str(source), target=str(target))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def check_complete(target: Path) -> None:
    checkpoint = lw.Checkpoint(target)
    assert len(checkpoint.shards) == SHARDS
    for s in range(SHARDS):
        data = memoryview(checkpoint.native.data(f"t{s}"))
        assert all(data[r * PIECE : (r + 1) * PIECE] == content(s, r) for r in range(ROWS))
        assert torch.equal(checkpoint[f"c{s}"], torch.arange(100.0))
    assert (target / "config.json").read_text() == "{}"
    assert (target / "tokenizer.json").read_text() == "{}"


def test_kill_at_50_random_moments(source: Path, tmp_path: Path) -> None:
    """kill -9 leaves no output folder or a complete one, and what else it leaves loads nowhere."""
    target = tmp_path / "out"
    child = start(source, target)
    begin = time.monotonic()
    assert child.stdout is not None
    assert child.stdout.readline() == "done\n"
    whole = time.monotonic() - begin
    assert child.wait() == 0
    check_complete(target)
    rng = random.Random(0)
    outcomes = {"complete": 0, "absent": 0, "left a partial folder": 0}
    for _ in range(50):
        subprocess.run(["rm", "-rf", target], check=True)
        child = start(source, target)
        time.sleep(rng.uniform(0, 1.2 * whole))
        child.send_signal(signal.SIGKILL)
        child.wait()
        if target.exists():
            check_complete(target)
            outcomes["complete"] += 1
        else:
            outcomes["absent"] += 1
        for left in tmp_path.glob(".out.partial-*"):
            outcomes["left a partial folder"] += 1
            with pytest.raises(lw.CheckpointError, match="never finished"):
                lw.Checkpoint(left)
            subprocess.run(["rm", "-rf", left], check=True)
        assert {p.name for p in tmp_path.iterdir()} <= {"in", "out"}
    print(outcomes, f"{whole:.2f} s unkilled")
    assert outcomes["absent"] > 0


def test_interrupted_writing_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def write() -> None:
        with _files.FolderWriter(tmp_path / "out") as out:
            out.shard("model.safetensors", [("a", "U8", [10])]).write("a", 0, b"abc")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert {p.name for p in tmp_path.iterdir()} == {"in"}


def test_an_unchanged_checkpoint_is_written_back_byte_for_byte(data: Path, tmp_path: Path) -> None:
    for name in ("TinyStories-656K", "stories260K-hf"):  # two header styles
        source = lw.Checkpoint(data / name)
        with _files.FolderWriter(tmp_path / name, [data / name]) as out:
            for shard in source.shards:
                writer = out.shard_like(shard, source.native.header_bytes(shard))
                for info in source.header(shard).tensors:
                    writer.copy(info.name, source.native)
            for other in [*source.other_files, "config.json"]:
                out.copy_file(data / name / other)
            out.commit()
        found = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
        assert found == {p.name: p.read_bytes() for p in (data / name).iterdir()}


def test_outputs_are_new(source: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(FileExistsError, match=r"output folder exists: '.*old'"):
        _files.FolderWriter(tmp_path / "old")
    with pytest.raises(FileNotFoundError, match="no folder to put the output in"):
        _files.FolderWriter(tmp_path / "no" / "out")
    for target in (source, source / "out", tmp_path):
        with pytest.raises(ValueError, match=r"output '.*expected a folder of its own"):
            _files.FolderWriter(target, [source])
    (tmp_path / "f.safetensors").write_text("mine")
    with pytest.raises(FileExistsError, match="output file exists"):
        _files.FileWriter(tmp_path / "f.safetensors", [])
    assert (tmp_path / "f.safetensors").read_text() == "mine"


def test_a_full_disk_is_found_before_the_first_byte(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    too_much = free.f_bavail * free.f_frsize * 2
    with pytest.raises(OSError, match="cannot reserve"):
        _files.FileWriter(tmp_path / "x.safetensors", [("a", "U8", [too_much])])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([("a", "F31", [1])], "unknown dtype 'F31'; did you mean 'F32'"),
        ([("a", "F32", [-1])], "tensor 'a': its shape is negative"),
        ([("a", "F32", [2**40, 2**40])], "overflows"),
        ([("a", "U8", [1]), ("a", "U8", [1])], "occurs twice"),
    ],
)
def test_tensors_that_cannot_be(tensors: list[object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        _files.FileWriter(tmp_path / "x.safetensors", tensors)
    assert not list(tmp_path.iterdir())


def test_threads_write_pieces(tmp_path: Path) -> None:
    values = torch.arange(1_000_000)
    data = memoryview(values.numpy()).cast("B")
    writer = _files.FileWriter(tmp_path / "x.safetensors", [("a", "I64", [1_000_000])])
    starts = list(range(0, len(data), 99_999))
    random.Random(0).shuffle(starts)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: writer.write("a", at, data[at : at + 99_999]), starts))
    with pytest.raises(ValueError, match="written twice"):
        writer.write("a", 50, b"x")
    writer.finish()
    assert torch.equal(lw.Checkpoint(tmp_path / "x.safetensors")["a"], values)
    with pytest.raises(ValueError, match="finished"):
        writer.write("a", 50, b"x")


def test_a_writer_outlives_its_folder_safely(tmp_path: Path) -> None:
    with _files.FolderWriter(tmp_path / "out") as out:
        writer = out.shard("model.safetensors", [("a", "U8", [1])])
    del out
    with pytest.raises(ValueError, match="abandoned"):
        writer.write("a", 0, b"x")
    assert not list(tmp_path.iterdir())
