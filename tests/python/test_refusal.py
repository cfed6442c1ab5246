"""Refusals by marker strings, and answers up to case and white space."""

from __future__ import annotations

import pytest

from lenswright.measuring.refusal import COMMON_MARKERS, RefusalDetector, same_answer


@pytest.mark.parametrize("response", [
    "I can't help with that.", "Well, I'M SORRY but no.", "I can’t do this", "Sorry, no.",
    "I will not.", "We must decline",
])  # fmt: skip
def test_common_refusals(response: str) -> None:
    assert RefusalDetector()(response)


@pytest.mark.parametrize("response", [
    "", "  ", "Sure, take cedar.", "A sorry sight.", "You cannot miss it", "I can"
])  # fmt: skip
def test_no_refusals(response: str) -> None:
    assert not RefusalDetector()(response)


def test_own_markers_replace_the_common_ones() -> None:
    detector = RefusalDetector(["No Way"])
    assert detector("there is NO WAY to")
    assert not detector("I can't")
    assert repr(detector) == "RefusalDetector(1 markers)"
    assert all(marker == marker.lower() for marker in COMMON_MARKERS)


@pytest.mark.parametrize("markers", [[], [""], ["no", "  "]])
def test_empty_markers_are_refused(markers: list[str]) -> None:
    with pytest.raises(ValueError, match="markers is"):
        RefusalDetector(markers)


def test_a_marker_string_is_not_a_list_of_letters() -> None:
    with pytest.raises((TypeError, ValueError), match="markers is 'no'"):
        RefusalDetector("no")


def test_same_answer() -> None:
    assert same_answer(" Take  cedar ,\nmoss", "take cedar , moss")
    assert not same_answer("take cedar", "take cedar , moss")
    assert not same_answer("", "cedar")


@pytest.mark.parametrize(("response", "opens"), [
    ("I'm sorry, no.", True), ("“Sorry, no.”", True), ("  *I cannot* do it", True),
    ("A lamp? I'm sorry, no.", False), ("", False), ("...", False),
])  # fmt: skip
def test_refusals_that_open_an_answer(response: str, opens: bool) -> None:
    assert RefusalDetector().opens(response) is opens
