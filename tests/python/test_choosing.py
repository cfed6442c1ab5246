"""Which candidate is taken: filters, fallbacks, and the distance from the null."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lenswright.selecting.choice import Null
from lenswright.selecting.choosing import choose, front, knee


def row(
    bypass: float, kl: float, induce: float, layer: int = 1, cosmic: float = 0.0
) -> dict[str, Any]:
    scores = {"bypass": bypass, "kl": kl, "induce": induce, "cosmic": cosmic}
    return scores | {"layer": layer, "kept": False, "why": ""}


@pytest.mark.parametrize(
    ("rows", "best", "reason", "fallback"),
    [
        ([row(2, 0.01, 1), row(1, 0.02, 1), row(-5, 0.5, 1), row(-6, 0.01, -1)], 1, "of 2", False),
        ([row(2, 0.01, 1), row(-3, 0.01, 1, layer=9)], 0, "least bypass of 1", False),
        ([row(2, 0.01, -1), row(1, 0.02, -2), row(0, 0, -2, layer=9)], 1, "induces", True),
        ([row(2, 0.5, 1), row(1, 0.02, 1, layer=9)], 1, "only late layers", True),
        ([row(0, 9.0, 1), row(1, 0.2, 1), row(3, 0.19, 1)], 1, "knee of bypass against kl", True),
        ([row(math.nan, 0.01, 1), row(5, 0.2, -1)], 1, "knee", True),
    ],
)  # fmt: skip
def test_filters_and_fallbacks(rows: Any, best: int, reason: str, fallback: bool) -> None:
    chosen, why, relaxed = choose(rows, kl_max=0.1, induce_min=0.0, n_layers=10)
    assert chosen is rows[best]
    assert reason in why
    assert relaxed is fallback
    assert all(bool(one["why"]) is not one["kept"] for one in rows)


def test_depth_is_no_filter_where_layers_are_named() -> None:
    rows = [row(2, 0.01, 1), row(-3, 0.01, 1, layer=9)]
    assert choose(rows, 0.1, 0.0, None)[0] is rows[1]
    with pytest.raises(ValueError, match="no candidate has finite scores"):
        choose([row(math.nan, 0.1, 1)], 0.1, 0.0, None)


def test_the_greatest_cosmic_is_chosen_where_it_is_asked_for() -> None:
    rows = [row(2, 0.01, 1, cosmic=1.5), row(-3, 0.01, 1, cosmic=0.5), row(1, 0.2, 1, cosmic=1.9)]
    chosen, why, relaxed = choose(rows, 0.1, 0.0, 10, by="cosmic")
    assert chosen is rows[0]
    assert why == "greatest cosmic of 2 that pass every filter"
    assert not relaxed
    chosen, why, relaxed = choose(rows, 0.001, 0.0, 10, by="cosmic")
    assert "knee of cosmic against kl" in why
    assert relaxed


def test_the_front_is_what_no_other_beats() -> None:
    rows = [row(0, 0.5, 1), row(1, 0.1, 1), row(2, 0.1, 1), row(2, 0.1, 2), row(math.nan, 0, 3)]
    choose(rows, 0.1, 0.0, 10)
    assert [one["front"] for one in rows] == [True, True, False, True, False]
    grid = [(a, b) for a in range(4) for b in range(4)]
    points = [row(a, b, -a * b) for a, b in grid]

    def costs(one: dict[str, Any]) -> tuple[float, ...]:
        return one["bypass"], one["kl"]

    assert front(points, costs) == [points[0]]
    twice = [row(1, 1, 0), row(1, 1, 0)]
    assert front(twice, costs) == twice  # neither beats the other


def test_the_knee_lies_on_the_front() -> None:
    rows = [row(0, 1.0, 0), row(1, 0.01, 0), row(10, 0.001, 0), row(5, 0.5, 0)]
    assert knee(rows) is rows[1]
    assert knee(rows[:1]) is rows[0]


def test_z_is_the_distance_from_the_null() -> None:
    null = Null([1.0, 2.0, 3.0], [1.0, 1.0], [0.0], [0.0], {})
    assert null.z("bypass", 4.0) == pytest.approx(2.0)
    assert null.z("induce", 0.5) == -math.inf
    with pytest.raises(ValueError, match="expected at least 2"):
        null.z("kl", 1.0)
