"""The families under test: one row each, in odd sizes, gathered from the files beside this one."""

from __future__ import annotations

from families import early, late, llama, mixtures, norms, towers
from families.build import build, config_of
from families.row import Row

_FILES = (early, late, llama, mixtures, norms, towers)

ROWS: dict[str, Row] = {row.name: row for file in _FILES for row in file.ROWS}
"""{name: row}."""

CASES = [(name, knob) for name, row in ROWS.items() for knob in row.variants()]
"""Every (row, knob), for parametrised tests."""

__all__ = ["CASES", "ROWS", "Row", "build", "config_of"]
