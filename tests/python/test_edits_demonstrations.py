"""docs/edits.md, second part: every kind of demonstration model, every edit, sound figures."""

from __future__ import annotations

import re

import pytest

from edit_table import DEMONSTRATIONS, PAGE
from lenswright.demo.kinds import KINDS

COMPARED = [name for name, kind in KINDS.items() if not kind.of]
NUMBERS = re.compile(r"-?\d+\.\d+")


def part(title: str) -> list[str]:
    """The lines under a heading of the second part."""
    page = PAGE.read_text(encoding="utf-8").partition(DEMONSTRATIONS)[2]
    found = page.partition(f"## {title}\n")[2]
    assert found, title
    return found.partition("\n## ")[0].splitlines()


def rows(title: str) -> list[list[str]]:
    """The cells of the first table under a heading, its head first."""
    lines = [line for line in part(title) if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def seeds(kind: str) -> list[str]:
    """Those that a kind was trained from."""
    found = [line for line in part(f"Model: {kind}") if "Seeds: " in line]
    return found[0].partition("Seeds: ")[2].rstrip(".").split(", ")


@pytest.mark.parametrize("kind", COMPARED)
def test_every_kind_has_every_edit_with_intervals(kind: str) -> None:
    head, *found = rows(f"Model: {kind}")
    names = [row[0] for row in found]
    assert names == [row[0] for row in rows(f"Model: {COMPARED[0]}")[1:]]
    assert {"plain", "projected", "write_norm", "affine", "conditioned"} <= set(names)
    assert len(names) == len(set(names)) >= 12
    for row in found:
        cells = dict(zip(head, row, strict=True))
        for column, most in (("declined", 100.0), ("KL-all", 1e9)):
            value, low, high = map(float, NUMBERS.findall(cells[column]))
            assert 0 <= low <= value <= high <= most, (row[0], column)
        reached, of = map(int, cells["reaches"].split(" of "))
        assert 0 <= reached <= of == len(seeds(kind))
        assert float(cells["worst"].split()[0]) >= float(cells["declined"].split()[0])


@pytest.mark.parametrize("kind", COMPARED)
def test_unedited_models_are_what_they_should_be(kind: str) -> None:
    head, *found = rows("What is demanded, and what the best method reaches")
    column = head.index(kind)
    gates = [row for row in found if row[0].startswith("unedited:")]
    assert len(gates) == 3
    assert all(row[column].endswith("✓") for row in gates), gates


def test_every_model_is_compared() -> None:
    _, *found = rows("Conditioned on keys, against the best other method")
    names = [row[0].rsplit(" ", 1)[0] for row in found]
    assert sorted(names) == sorted(kind for kind in COMPARED for _ in seeds(kind))
