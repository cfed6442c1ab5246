"""mergekit 0.1.5 itself, run as installed in a folder that LENSWRIGHT_MERGEKIT names.

mergekit pins old versions of much, so it lives in a folder of its own: pip install --no-deps
--target FOLDER mergekit==0.1.5 and what it asks for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

RECIPES = """
import json, sys, traceback
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

answers = {}
for name, recipe, out in json.load(open(sys.argv[1])):
    try:
        run_merge(MergeConfiguration.model_validate(yaml.safe_load(recipe)), out,
                  MergeOptions(quiet=True, allow_crimes=False, random_seed=1, copy_tokenizer=False,
                               write_model_card=False,
                               unsafe_truncate_embeddings=name.startswith("cut, ")))
        answers[name] = ""
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
json.dump(answers, open(sys.argv[2], "w"))
"""
COMMANDS = """
import importlib, json, sys, traceback

answers = {}
for label, module, arguments in json.load(open(sys.argv[1])):
    sys.argv = [module, *arguments]
    try:
        importlib.import_module(f"mergekit.scripts.{module}").main()
    except SystemExit as end:
        answers[label] = str(end.code or "")
    except BaseException as error:
        answers[label] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
json.dump(answers, open(sys.argv[2], "w"))
"""


def needed() -> str:
    """Where it lies; skips the test where it does not."""
    home = os.environ.get("LENSWRIGHT_MERGEKIT")
    if not home:
        pytest.skip("LENSWRIGHT_MERGEKIT names no folder with mergekit 0.1.5")
    return home


def run(jobs: list[Any], room: Path, script: str = RECIPES) -> dict[str, str]:
    """What it said to each job, "" where it went well.

    jobs: (label, recipe as YAML, output) each; of COMMANDS (label, its module, arguments).
    """
    home = needed()
    (room / "jobs.json").write_text(json.dumps(jobs))
    environment = os.environ | {
        "PYTHONPATH": home, "TRANSFORMERS_OFFLINE": "1", "PYTHONHASHSEED": "0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, str(room / "jobs.json"), str(room / "answers.json")],
        env=environment, capture_output=True, text=True, cwd=room,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (room / "log").write_text(done.stderr)
    answers: dict[str, str] = json.loads((room / "answers.json").read_text())
    return answers


def merged(recipes: Mapping[str, Any], room: Path) -> dict[str, str]:
    """Merge recipes, each into the folder of its number; what was said to each.

    Those called "cut, ..." with --unsafe-truncate-embeddings.
    """
    jobs = [
        (label, yaml.safe_dump(recipe), str(room / str(i)))
        for i, (label, recipe) in enumerate(recipes.items())
    ]
    return run(jobs, room)
