"""docs/merging.md is what the code says, and names every defect of the register that applies."""

from __future__ import annotations

import re

import merge_page


def test_page() -> None:
    assert merge_page.PAGE.read_text(encoding="utf-8") == merge_page.page()


def test_every_mode_is_said() -> None:
    for difference in merge_page.DIFFERENCES:
        assert all((difference.topic, difference.mergekit, difference.compat, difference.strict))
    numbers = {d.number for d in merge_page.DIFFERENCES if d.number}
    assert all(re.fullmatch(r"D\d+", n) for n in numbers)
