"""Flags of mergekit-yaml: each does what it says, or one line says why it does nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import against_mergekit
import merging_models as models
from lenswright.cli import main

WORKS = ["--allow-crimes", "--no-allow-crimes", "--random-seed 3", "--out-shard-size 1B",
         "--out-shard-size 200M", "-j 2", "--num-threads 2"]  # fmt: skip
SWITCHES = ["unsafe-truncate-embeddings", "trust-remote-code", "quiet", "cuda", "low-cpu-memory",
            "lazy-unpickle", "read-to-gpu", "multi-gpu", "async-write", "copy-tokenizer",
            "clone-tensors", "write-model-card", "safe-serialization"]  # fmt: skip
NEEDLESS = [
    *(f"--{no}{name}" for name in SWITCHES for no in ("", "no-")),
    "--gpu-rich", "-v", "--transformers-cache x", "--lora-merge-cache x",
    "--lora-merge-dtype float32", "--device cpu", "--write-threads 2",
]  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("flags")
    base = models.random_tensors(0, torch.float32)
    entries = []
    for i in range(2):
        folder = models.save(room / str(i), models.random_tensors(i, torch.float32, base))
        entries.append({"model": str(folder), "parameters": {"weight": 1.0}})
    path = room / "recipe.yml"
    path.write_text(json.dumps({"merge_method": "linear", "models": entries}))
    return path


@pytest.mark.parametrize("flag", [*WORKS, *NEEDLESS])
def test_flag(flag: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(recipe), str(tmp_path / "out"), "--dry-run", *flag.split()]) == 0
    told = capsys.readouterr().err
    if flag in WORKS:
        assert told == ""
    else:
        name = "--verbose" if flag == "-v" else flag.split()[0]
        assert re.fullmatch(rf"lenswright: {name} has no effect: .+\n", told)


def test_misspelt(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(recipe), str(tmp_path / "out"), "--lazy-unpikle"]) == 2
    told = capsys.readouterr().err
    assert "did you mean '--lazy-unpickle'" in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_every_flag_that_mergekit_has() -> None:
    """Those that its own --help tells of."""
    code = "import sys; sys.argv = ['x', '--help']; import mergekit.scripts.run_yaml as m; m.main()"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": against_mergekit.needed(), "COLUMNS": "200"},
    ).stdout  # fmt: skip
    theirs = {
        flag
        for line in told.splitlines()
        if re.match(r" {2}-", line)
        for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line.split("  ")[1])
    }
    ours = {one.split()[0] for one in (*WORKS, *NEEDLESS)}
    assert theirs - ours <= {"--help"}
    assert len(theirs) > 30
