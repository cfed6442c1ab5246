"""docs/families.md holds what the tests measure: every family and setting, and no other."""

from __future__ import annotations

import pytest

from families import CASES
from families.table import COLUMNS, HEAD, LIMITS, PAGE


def rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "family":
            yield cells


def test_every_family_is_listed():
    assert sorted((name, knob) for name, knob, *_ in rows()) == sorted(CASES)


def test_the_head_says_what_was_measured():
    before, _, after = HEAD.partition("{version}")
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(before)
    assert text.removeprefix(before).partition(":")[2].startswith(after.partition(":")[2])


@pytest.mark.parametrize("column", COLUMNS)
def test_every_figure_is_within_its_limit(column):
    place = 2 + list(COLUMNS).index(column)
    for cells in rows():
        measured = cells[place].split()
        needed = column in ("float64", "float32", "gradients") or not cells[1]
        assert bool(measured) == needed, cells
        assert not needed or float(measured[0]) <= LIMITS[column], cells
