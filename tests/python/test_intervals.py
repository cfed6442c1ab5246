"""Intervals against their formulas, published values and the binomial itself."""

from __future__ import annotations

import math

import pytest
import torch

from lenswright.measuring.intervals import Z95, bootstrap, wilson


@pytest.mark.parametrize(("successes", "n", "low", "high"), [
    # z = 1.96: Newcombe 1998, Stat. Med. 17, 857, table I, method 3
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
])  # fmt: skip
def test_wilson_published(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 10, 500])
def test_wilson_solves_its_equation(n: int) -> None:
    """At its ends p the score test is just at z: |k/n - p| = z sqrt(p (1 - p) / n)."""
    for k in {0, 1, n // 2, n - 1, n}:
        low, high = wilson(k, n)
        assert 0 <= low <= k / n <= high <= 1
        for p in (low, high):
            if 0 < p < 1:
                assert abs(k / n - p) == pytest.approx(Z95 * math.sqrt(p * (1 - p) / n), rel=1e-9)
    assert wilson(0, n)[0] == 0.0
    assert wilson(n, n)[1] == 1.0
    assert wilson(0, n)[1] == pytest.approx(Z95**2 / (n + Z95**2))
    assert wilson(n, n)[0] == pytest.approx(n / (n + Z95**2))


def test_wilson_is_symmetric_and_narrows() -> None:
    assert wilson(3, 10) == pytest.approx([1 - x for x in reversed(wilson(7, 10))])
    widths = [high - low for low, high in (wilson(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5), (0, -3)])
def test_wilson_refuses(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"successes is {successes} of n {n}"):
        wilson(successes, n)


def test_bootstrap_is_seeded_and_surrounds_the_mean() -> None:
    values = [math.sin(i) + 0.1 * i for i in range(40)]
    first = bootstrap(values, seed=3)
    assert first == bootstrap(values, seed=3)
    assert first != bootstrap(values, seed=4)
    assert first[0] < sum(values) / 40 < first[1]
    assert bootstrap(values, seed=3, level=0.5)[0] > first[0]


def test_bootstrap_width_is_the_standard_error() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    low, high = bootstrap(values.tolist(), seed=1)
    expected = 2 * Z95 * float(values.std(correction=0)) / math.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.1)


def test_bootstrap_of_equal_values_and_of_none() -> None:
    assert bootstrap([2.5] * 7) == (2.5, 2.5)
    with pytest.raises(ValueError, match="values is empty"):
        bootstrap([])
