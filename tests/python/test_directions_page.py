"""docs/directions.md names every estimator, and its Python runs as written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.collecting.accumulators import WHAT
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


def examples(name: str) -> str:
    """The lines of a docstring's example, as a program."""
    text = getattr(lw.directions, name).__doc__
    return "\n".join(
        line[4:] for line in re.findall(r"^ *((?:>>>|\.\.\.) .*)$", text, re.MULTILINE)
    )


@pytest.fixture(scope="module")
def namespace() -> dict[str, Any]:
    model, splits = embedded.model(), embedded.splits()
    stats = model.collect(splits.fit, what=("mean", "variance", "covariance", "samples"))
    texts = [[p.text for p in splits.fit.of(name)] for name in ("positive", "negative")]
    return {
        "lw": lw, "torch": torch, "model": model, "splits": splits, "stats": stats,
        "found": lw.directions.difference_of_means(stats), "pairs": list(zip(*texts, strict=True)),
        "basis": lw.directions.subspace(stats, 2).subspace("blocks.2.hook_resid_pre", -1),
    }  # fmt: skip


FUNCTIONS = [n for n in lw.directions.__all__ if n[0].islower() and n not in
             ("score_prompts", "select")]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_run(name: str, namespace: dict[str, Any]) -> None:
    code = examples(name)
    assert code, f"{name} has no example"
    exec(compile(code, f"example of {name}", "exec"), dict(namespace))
