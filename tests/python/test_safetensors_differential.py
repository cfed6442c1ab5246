"""Never laxer than the reference: some thousand mutated files (`./dev fuzz` judges more)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
differential = pytest.importorskip("differential")


@pytest.mark.parametrize("seed", [1001, 1002])
def test_accepts_and_refuses_as_the_reference_does(seed: int) -> None:
    verdicts, wrong = differential.run(5000, seed)
    assert not wrong, wrong[0]
    assert verdicts["both accept"] > 500
    stricter = {verdict for verdict in verdicts if verdict.startswith("stricter")}
    assert stricter == {f"stricter: {flaw}" for flaw in differential.STRICTER}


def test_the_same_seed_gives_the_same_files() -> None:
    assert differential.run(200, 5)[0] == differential.run(200, 5)[0]
