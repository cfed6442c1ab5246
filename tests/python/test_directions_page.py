"""docs/directions.md names every estimator, and its Python runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lenswright as lw
from lenswright.accumulators import WHAT
from lenswright.estimators.registry import METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "directions.md").read_text(encoding="utf-8")


def test_python_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "docs/directions.md", "exec"), {})
    assert (tmp_path / "cosines.svg").exists()


def test_everything_is_named() -> None:
    named = set(re.findall(r"`(\w+)[`(]", PAGE))
    functions = {
        name for name in lw.directions.__all__ if name[0].islower() and name != "score_prompts"
    }
    assert functions <= named
    assert set(METHODS) <= named
    assert set(WHAT) <= named


def test_every_estimator_says_where_it_comes_from_and_shows_how() -> None:
    for name in METHODS:
        text = getattr(lw.directions, name).__doc__
        assert "Source:" in text, name
        assert "Example:" in text, name
