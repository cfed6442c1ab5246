"""docs/merging.md is what the code says, and every defect of the register has tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import merge_differences
import merge_page
import merge_register


def test_page() -> None:
    assert merge_page.PAGE.read_text(encoding="utf-8") == merge_page.page()


def test_every_mode_is_said() -> None:
    for difference in merge_differences.DIFFERENCES:
        assert all((difference.topic, difference.mergekit, difference.compat, difference.strict))
    numbers = {d.number for d in merge_differences.DIFFERENCES if d.number}
    assert all(re.fullmatch(r"D\d+", n) for n in numbers)
    assert numbers <= set(merge_register.DEFECTS)


def test_register_is_complete() -> None:
    assert list(merge_register.DEFECTS) == [f"D{i}" for i in range(1, 36)]
    assert all(what and tests for what, tests in merge_register.DEFECTS.values())
    folder = Path(__file__).parent
    for one in merge_register.named():
        file, _, name = one.partition("::")
        tree = ast.parse((folder / f"{file}.py").read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, one
