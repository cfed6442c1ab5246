"""What the pictures are made of: numbers as words, places, colours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenswright.plots import canvas, colour, marks, values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0, "0"), (-0.0, "0"), (1, "1"), (1234.5, "1,234"), (12.34, "12.3"),
        (1.239, "1.24"),
        (-0.5, "−0.500"), (0.0123, "0.0123"), (1.2e-7, "1.2e−7"), (-3e-9, "−3e−9"), (2e9, "2e9"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value: float | None, text: str) -> None:
    assert values.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "100"), (0.0234, "2.3"), (0.99999, ">99.9"), (1e-5, "<0.1"), (0.5, "50")],
)
def test_percentages_never_round_to_none_or_all(value: float, text: str) -> None:
    assert values.percent(value) == f"{text}\u202f%"


def test_tokens_are_made_visible() -> None:
    assert values.visible(" a ") == "␣a␣"
    assert values.visible("\u0120the") == "␣the"
    assert values.visible("\u2581the") == "␣the"
    assert values.visible("\n\n") == "↵↵"
    assert values.visible("   ") == "␣␣␣"
    assert values.visible("\u202e\x07") == "\\u202e\\u0007"
    assert values.visible("नमस्\u200dते") == "नमस्\u200dते"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_few_even_and_inside(low: float, size: float, count: int) -> None:
    high = low + size
    found = values.ticks(low, high, count)
    slack = 1e-6 * (abs(low) + size)
    assert len(found) <= count + 1
    assert all(low - slack <= t <= high + slack for t in found)
    gaps = [b - a for a, b in pairwise(found)]
    assert all(abs(gap - gaps[0]) <= slack for gap in gaps)


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_are_moved_apart_in_order(wanted: list[float]) -> None:
    places = marks.spread(wanted, 10, 0, 100)
    ordered = [places[i] for i in sorted(range(len(wanted)), key=lambda i: (wanted[i], i))]
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(ordered))
    assert all(-1e-9 <= place <= 100 for place in places)


@given(st.text(max_size=40), st.floats(10, 200))
def test_clipped_text_fits(text: str, width: float) -> None:
    shown = canvas.clip(text, width)
    assert canvas.text_width(shown) <= width or shown == "…"
    assert shown == text or text.startswith(shown[:-1])


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_legible_on_what_it_lies_on(dark: bool) -> None:
    def shade(paint: colour.Paint) -> str:
        return paint.dark if dark else paint.light

    for paint in (
        colour.INK,
        colour.SOFT,
        colour.FAINT,
        colour.ACCENT,
        colour.WARM,
        colour.GOOD,
        *colour.SERIES,
    ):
        assert colour.contrast(shade(paint), shade(colour.SURFACE)) >= 4.5, paint
    for scale in colour.SCALES:
        for paint in colour.ramp(scale):
            assert colour.contrast(shade(colour.on(paint)), shade(paint)) >= 4.5, paint


@pytest.mark.parametrize("scale", ["blue", "violet", "diverging"])
def test_scales_run_evenly_from_the_page_tone(scale: str) -> None:
    for dark in (False, True):
        shades = [p.dark if dark else p.light for p in colour.ramp(scale)]
        away = [
            colour.contrast(s, colour.SURFACE.dark if dark else colour.SURFACE.light)
            for s in shades
        ]
        middle = colour.LEVELS // 2 if scale == "diverging" else 0
        assert away[middle:] == sorted(away[middle:])
        assert away[: middle + 1] == sorted(away[: middle + 1], reverse=True)
        assert away[middle] < 1.5
