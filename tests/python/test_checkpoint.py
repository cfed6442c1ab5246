"""Checkpoints: what is opened, what is refused, and what one may do with the tensors."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

import lenswright as lw
from lenswright import _files
from support import write


def test_names_shapes_config_metadata(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", a=torch.arange(6.0).view(2, 3), b=torch.zeros(2).half())
    (tmp_path / "config.json").write_text('{"model_type": "llama", "eps": 1e-05}')
    checkpoint = lw.Checkpoint(tmp_path)
    assert sorted(checkpoint) == sorted(checkpoint.keys()) == ["a", "b"]
    assert len(checkpoint) == 2
    assert "a" in checkpoint
    assert "c" not in checkpoint
    assert 3 not in checkpoint
    assert checkpoint.info("a").shape == (2, 3)
    assert [info.name for info in checkpoint.tensors()] == ["a", "b"]
    assert checkpoint.config == {"model_type": "llama", "eps": 1e-5}
    assert checkpoint.metadata == {"format": "pt"}
    assert checkpoint.shards == ["model.safetensors"]
    assert repr(checkpoint).endswith("2 tensors, 8 parameters, F16, F32, 1 file)")
    assert torch.equal(checkpoint["a"], torch.arange(6.0).view(2, 3))


def test_unknown_names_give_the_nearest(tmp_path: Path) -> None:
    checkpoint = lw.Checkpoint(write(tmp_path / "x.safetensors", weight=torch.ones(1)))
    with pytest.raises(KeyError, match="no tensor 'wieght'; did you mean 'weight'"):
        checkpoint["wieght"]


def sharded(folder: Path) -> Path:
    write(folder / "one.safetensors", a=torch.ones(2))
    write(folder / "two.safetensors", b=torch.ones(3))
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards(tmp_path: Path) -> None:
    checkpoint = lw.Checkpoint(sharded(tmp_path))
    assert checkpoint.shards == ["one.safetensors", "two.safetensors"]
    assert checkpoint["b"].sum() == 3
    assert checkpoint.metadata == {"format": "pt"}
    assert lw.Checkpoint(tmp_path / "model.safetensors.index.json")["a"].sum() == 2


def test_shards_that_disagree_about_metadata(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "two.safetensors").unlink()
    safetensors.torch.save_file({"b": torch.ones(3)}, tmp_path / "two.safetensors", {"format": "x"})
    checkpoint = lw.Checkpoint(tmp_path)
    with pytest.raises(ValueError, match="disagree about 'format'"):
        _ = checkpoint.metadata
    assert checkpoint.header("two.safetensors").metadata == {"format": "x"}


@pytest.mark.parametrize(
    "places",
    [
        {"a": "../one.safetensors", "b": "two.safetensors"},
        {"a": "/etc/passwd", "b": "two.safetensors"},
        {"a": "one.safetensors"},
        {"a": "one.safetensors", "b": "one.safetensors"},
        {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"},
        {"a": "one.safetensors", "b": "three.safetensors"},
        {},
    ],
)
def test_indexes_that_lie(tmp_path: Path, places: dict[str, str]) -> None:
    sharded(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    if places == {"a": "one.safetensors"}:
        assert len(lw.Checkpoint(tmp_path)) == 1  # then two.safetensors is no part of it
        assert lw.Checkpoint(tmp_path).native.unused_weights() == ["two.safetensors"]
        return
    with pytest.raises(lw.CheckpointError):
        lw.Checkpoint(tmp_path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "config.json").write_text("{}")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(lw.CheckpointError, match="never opened here; convert them") as caught:
            lw.Checkpoint(path)
        assert caught.value.flaw == "pickle"
        assert "save_pretrained" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_a_lone_pickle_comes_with_the_line_that_converts_it(tmp_path: Path) -> None:
    weights = {"a.weight": torch.arange(12.0).reshape(3, 4).T, "b": torch.ones(2).bfloat16()}
    torch.save(weights, tmp_path / "b.pt")
    with pytest.raises(lw.CheckpointError, match="never opened here; convert them") as caught:
        lw.Checkpoint(tmp_path / "b.pt")
    command = str(caught.value).partition("you trust them: ")[2]
    subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
    found = lw.Checkpoint(tmp_path / "b.safetensors")
    assert set(found.keys()) == set(weights)
    assert all(torch.equal(found[name], value) for name, value in weights.items())


def test_missing_paths_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        lw.Checkpoint(tmp_path / "absent")
    assert str(caught.value) == (
        f"no checkpoint at '{tmp_path}/absent': there is no such folder or file"
    )


def test_trailing_bytes_need_lenient(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", a=torch.ones(10))
    with path.open("ab") as file:
        file.write(b"tail")
    with pytest.raises(lw.CheckpointError, match="4 bytes after the last tensor"):
        lw.Checkpoint(path)
    checkpoint = lw.Checkpoint(path, lenient=True)
    assert checkpoint["a"].sum() == 10
    assert checkpoint.native.trailing_bytes == 4
    assert set(checkpoint.check()) == {"a"}


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    path = write(tmp_path / "x.safetensors", a=torch.ones(10))
    os.rename(path, folder + b"/\xff.safetensors")
    checkpoint = lw.Checkpoint(tmp_path)
    (shard,) = checkpoint.shards
    assert os.fsencode(shard) == b"\xff.safetensors"
    assert checkpoint.header(shard).metadata == {"format": "pt"}
    assert checkpoint["a"].sum() == 10
    os.truncate(folder + b"/\xff.safetensors", 20)
    with pytest.raises(lw.CheckpointError):
        lw.Checkpoint(tmp_path)


def test_check_reads_and_counts(tmp_path: Path) -> None:
    values = torch.tensor([1.0, float("nan"), float("inf"), -float("inf")])
    path = write(tmp_path / "x.safetensors", a=values, b=torch.ones(3_000_000))
    steps: list[tuple[int, int]] = []
    checks = lw.Checkpoint(path).check(lambda done, total: steps.append((done, total)))
    assert (checks["a"].not_a_number, checks["a"].infinite) == (1, 2)
    assert checks["b"].sha256 == _files.sha256(torch.ones(3_000_000).numpy())
    assert steps[-1] == (12_000_016, 12_000_016)


def test_check_can_be_stopped(tmp_path: Path) -> None:
    checkpoint = lw.Checkpoint(write(tmp_path / "x.safetensors", a=torch.ones(3_000_000)))
    with pytest.raises(_files.Cancelled):
        checkpoint.check(lambda done, total: False)

    def fail(done: int, total: int) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        checkpoint.check(fail)


def test_ctrl_c_and_other_threads(tmp_path: Path) -> None:
    """Long calls notice Ctrl-C and let other Python threads run."""
    path = tmp_path / "big.safetensors"
    writer = _files.FileWriter(path, [("a", "U8", [4_000_000_000])])
    with path.parent.joinpath(os.listdir(tmp_path)[0]).open("r+b"):
        pass  # a file of holes: nothing was written, so finish() must refuse
    with pytest.raises(RuntimeError, match="only 0 of"):
        writer.finish()
    writer.abandon()
    header = _files.make_header([("a", "F32", [25_000_000_000])])
    with path.open("wb") as file:  # holes again: more than any machine reads in the time below
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 100_000_000_000)
    ticks = 0

    def count() -> None:
        nonlocal ticks
        while not done.wait(0.01):
            ticks += 1

    done = threading.Event()
    threading.Thread(target=count).start()
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            lw.Checkpoint(path).check()
    finally:
        done.set()
    assert time.monotonic() - start < 5
    assert ticks > 3
