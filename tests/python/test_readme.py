"""The README's Python runs as written, its commands exist, and its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_python_runs_as_written(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 6
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "edited" / "config.json").is_file()


def test_verbs_exist() -> None:
    from lenswright.cli import VERBS

    named = set(re.findall(r"^lenswright (\w+)", README, re.MULTILINE))
    assert named == set(VERBS)


def test_counts_are_the_codes() -> None:
    from lenswright import _files

    for page in ("README.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        (told,) = re.findall(r"(\d+) architectures", text)
        assert int(told) == len(_files.families()), page


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
