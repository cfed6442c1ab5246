"""docs/verify.md is what the planted faults gave, and names those that nothing caught."""

from __future__ import annotations

from planted import PAGE, page


def test_a_page_lists_what_nothing_caught():
    named = {"named": True, "loss": 3.5, "best": 3.1, "by": "rope layout: half"}
    missed = {"named": False, "loss": 3.1, "best": 3.1, "by": ""}
    text = page({"a": {"x: 1": named, "y: 2": missed}, "b": {"y: 2": missed}})
    assert "## a: 1 of 2 faults named" in text
    assert text.endswith("## Faults that no scan named\n\n- y: 2\n")


def test_the_page_has_a_section_for_what_nothing_caught():
    assert PAGE.exists(), "docs/verify.md is missing: ./dev faults writes it"
    assert "## Faults that no scan named" in PAGE.read_text(encoding="utf-8")
