"""`./dev` explains itself, can be repeated at will, and is quick when nothing is to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERBS = [
    "demo",
    "test",
    "build",
    "lint",
    "format",
    "bench",
    "families",
    "edits",
    "faults",
    "fuzz",
    "sanitize",
    "python",
    "help",
]


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `./dev` in the environment of these tests, from a folder that is not the checkout."""
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    return subprocess.run(
        [ROOT / "dev", *arguments], cwd="/", env=environment, text=True, capture_output=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.fixture
def set_up() -> None:
    if not (Path(sys.prefix) / ".lenswright").exists():
        pytest.skip("this environment was not made by ./dev")


def test_scripts_are_valid_bash() -> None:
    for script in ("dev", ".ci/run"):
        subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("how", [[], ["help"], ["--help"]])
def test_help_lists_every_verb(how: list[str]) -> None:
    done = dev(*how)
    assert done.returncode == 0
    assert re.findall(r"^  (\w+)", done.stdout, re.MULTILINE) == VERBS


def test_unknown_verb_is_refused() -> None:
    done = dev("biuld")
    assert done.returncode == 1
    assert done.stderr.endswith("dev: there is no verb 'biuld'\n")


@pytest.mark.usefixtures("set_up")
def test_building_again_does_nothing_in_no_time() -> None:
    assert dev("build").returncode == 0
    start = time.monotonic()
    done = dev("build")
    seconds = time.monotonic() - start
    assert done.stdout.strip().endswith("ninja: no work to do.")
    assert seconds < 5


@pytest.mark.usefixtures("set_up")
def test_python_is_the_one_of_the_environment() -> None:
    done = dev("python", "-c", "import sys, lenswright; print(sys.prefix)")
    assert done.stdout.strip() == sys.prefix


@pytest.mark.usefixtures("set_up")
def test_bench_lists_its_names_and_refuses_others() -> None:
    names = sorted(path.stem.removeprefix("bench_") for path in (ROOT / "bench").glob("bench_*.py"))
    assert re.findall(r"^  (\w+)$", dev("bench").stdout, re.MULTILINE) == names
    done = dev("bench", "nothing")
    assert done.returncode == 1
    assert "bench/bench_nothing.py" in done.stderr
