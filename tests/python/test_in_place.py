"""Commits in the place of what they are made of, killed on the way."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import lenswright as lw
from editing import direction, file_hashes, hashes, stored_as

Tiny = Callable[..., Path]


def test_in_place_and_back(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "bfloat16", shards=2)
    before, model = file_hashes(source), lw.load(source)
    held = hashes(model)
    edit = lw.edits.ablate(model, direction(model))
    edit.commit(source, tmp_path / "out", progress=False, journal=True)
    done = edit.commit(source, in_place=True, progress=False)
    assert done.folder == source
    assert file_hashes(source) == file_hashes(tmp_path / "out")
    assert hashes(model) == held, "a loaded model changed under its user"
    lw.edits.revert(source, tmp_path / "back", progress=False)
    assert file_hashes(tmp_path / "back") == before
    lw.edits.revert(source, in_place=True, progress=False)
    assert file_hashes(source) == before
    assert hashes(model) == held
    assert sorted(f.name for f in tmp_path.iterdir()) == ["back", "in", "out"]
    (tmp_path / "out" / ".notes").write_text("mine")
    with pytest.raises(ValueError, match=r"holds '\.notes'"):
        lw.edits.revert(tmp_path / "out", in_place=True, progress=False)


def test_in_place_spares_what_is_not_its_own(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "bfloat16")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)))
    for name in ("notes/a.txt", ".hidden", "other.safetensors"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes((source / "model.safetensors").read_bytes())
        with pytest.raises(ValueError, match=f"holds '{name.split('/')[0]}'"):
            edit.commit(source, in_place=True)
        (source / name).unlink()
        shutil.rmtree(source / "notes", ignore_errors=True)
    with pytest.raises(ValueError, match=r"target is '.*', expected None beside in_place"):
        edit.commit(source, tmp_path / "out", in_place=True)
    with pytest.raises(ValueError, match="target is None"):
        edit.commit(source)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["in"]


KILLED = """
import sys, torch, lenswright as lw
edit = lw.edits.load(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
edit.commit(sys.argv[1], in_place=True, progress=False)
print("done", flush=True)
"""


def test_killed_in_place_the_folder_is_old_or_new(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    torch.manual_seed(0)
    tensors = {f"layers.{i}.out": torch.randn(1024, 1024).bfloat16() for i in range(6)}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text("{}")
    edit = lw.edits.ablate_tensors(source, torch.randn(1024), "layers.*", axis="rows")
    edit.save(tmp_path / "edit.safetensors")
    start = time.monotonic()
    edit.commit(source, tmp_path / "new", progress=False, journal=True)
    took = time.monotonic() - start
    old, new = file_hashes(source), file_hashes(tmp_path / "new")
    seen: dict[bool, int] = {True: 0, False: 0}
    for i in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(source), str(tmp_path / "edit.safetensors")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(took * (0.1 + 0.2 * i))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = file_hashes(source)
        assert found in (old, new)
        seen[found == new] += 1
        if found == new:
            lw.edits.revert(source, tmp_path / "back", progress=False)
            assert file_hashes(tmp_path / "back") == old
            shutil.rmtree(source)
            (tmp_path / "back").rename(source)
    assert seen[False], "every one was done before it could be killed"
    edit.commit(source, in_place=True, progress=False)  # what was left beside it is in nobody's way
    assert file_hashes(source) == new
    assert not list(tmp_path.glob(".*"))
