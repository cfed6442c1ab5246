"""`lenswright merge`: what it says, what it refuses, and its exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml

from lenswright.cli import main
from merging_models import base_and_tuned, linear


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = base_and_tuned(tmp_path / "models", 1, torch.float32)
    means = linear(models, [1.0, 1.0])
    recipe, out = tmp_path / "recipe.yml", tmp_path / "out"
    recipe.write_text(yaml.safe_dump(means))
    assert main(["merge", str(recipe), str(out), "--dry-run"]) == 0
    assert "would write" in capsys.readouterr().out
    assert not out.exists()
    assert main(["merge", str(recipe), str(out), "--cuda", "--lazy-unpickle", "--device=cpu"]) == 0
    told = capsys.readouterr()
    assert told.err.count("\n") == 3
    assert "--cuda has no effect" in told.err
    assert "wrote" in told.out
    assert (out / "lenswright.json").exists()
    other = str(tmp_path / "other")
    assert main(["merge", str(recipe), other, "--dry-run", "--json", "--memory", "500MB"]) == 0
    assert json.loads(capsys.readouterr().out)["memory_bytes"] <= 500e6
    assert main(["merge", str(recipe), other, "--memory", "1MB"]) == 2
    assert "memory is 1000000 bytes, expected at least" in capsys.readouterr().err
    assert main(["merge", str(recipe), str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    recipe.write_text(yaml.safe_dump(means | {"merge_method": "liner"}))
    assert main(["merge", str(recipe), str(tmp_path / "other")]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "did you mean 'linear'?" in told.err
    assert main(["merge", str(recipe), str(tmp_path / "other"), "--strickt"]) == 2
    assert sorted(os.listdir(tmp_path)) == ["models", "out", "recipe.yml"]
