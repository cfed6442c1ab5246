"""docs/edits.md holds what the tests measure: every family, setting, layout and edit."""

from __future__ import annotations

import pytest

from edit_table import COLUMNS, DEMONSTRATIONS, PAGE, TABLES, title
from editing_families import CASES


def tables() -> dict[str, dict[str, list[str]]]:
    """Cells by table and row."""
    found: dict[str, dict[str, list[str]]] = {}
    heads = {head.splitlines()[0]: name for name, (head, _) in TABLES.items()}
    rows: dict[str, list[str]] = {}
    page = PAGE.read_text(encoding="utf-8").partition(DEMONSTRATIONS)[0]
    for line in page.splitlines():
        if line in heads:
            rows = found.setdefault(heads[line], {})
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "family":
            rows[cells[0]] = cells[1:]
    return found


def without_affine(name: str, knob: str) -> bool:
    return name == "xglm" or (name, knob) == ("opt", "350m")


@pytest.mark.parametrize("table", TABLES)
def test_every_case_is_listed(table: str) -> None:
    cases = [c for c in CASES if table != "transformers" or not c[1]]
    assert sorted(tables()[table]) == sorted(title(*case) for case in cases)


@pytest.mark.parametrize("table", TABLES)
def test_every_figure_is_within_its_limit(table: str) -> None:
    limit = TABLES[table][1]
    rows = tables()[table]
    for name, knob, fused in CASES:
        if table == "transformers" and knob:
            continue
        for column, cell in zip(COLUMNS, rows[title(name, knob, fused)], strict=True):
            refused = column in ("affine", "leace") and without_affine(name, knob)
            assert bool(cell) != refused, (name, knob, column)
            assert refused or float(cell) <= limit, (name, knob, column)
