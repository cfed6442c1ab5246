"""A new family is one file of rows, its name in the list, and the two halves of a parity row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "csrc",
    "python/lenswright",
    "tests/python/families",
    "tests/cpp",
    "CMakeLists.txt",
    "cmake",
)
KINDS = {".cpp", ".h", ".py", ".txt", ".cmake"}


def files_that_name(family):
    word = re.compile(rf"\b{family}\b|\b{family}_families\b")
    for source in SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in KINDS and word.search(file.read_text(encoding="utf-8")):
                yield file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("family", ["arcee", "helium"])
def test_the_files_of_a_family(family):
    named = list(files_that_name(family))
    assert f"csrc/spec/families/{family}.cpp" in named
    assert "csrc/spec/families/list.h" in named
    rest = [n for n in named if not n.startswith("csrc/spec/families/")]
    assert len(named) - len(rest) == 2, named
    assert len(rest) == 2, rest
    assert {Path(n).parent.as_posix() for n in rest} == {
        "python/lenswright/reference",
        "tests/python/families",
    }
