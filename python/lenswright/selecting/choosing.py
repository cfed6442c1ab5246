"""Which of the tried directions to take: filters, and what is done where they leave none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

LATE = 0.8  # of the depth; directions behind it are near the words themselves

SCORES = ("bypass", "induce", "kl", "cosmic")
BY = {"bypass": "least bypass", "cosmic": "greatest cosmic"}

Row = dict[str, Any]


def choose(
    tried: Sequence[Row],
    kl_max: float,
    induce_min: float,
    n_layers: int | None,
    by: str = "bypass",
) -> tuple[Row, str, bool]:
    """The best of the tried rows, why, and whether filters had to be relaxed.

    Writes `kept`, `why` and `front` into the rows. `n_layers` None: no filter by depth. `by`: a key
    of `BY`.
    """
    late = math.inf if n_layers is None else LATE * n_layers
    for row in tried:
        failed = [name for name, bad in _failures(row, kl_max, induce_min, late).items() if bad]
        row["kept"], row["why"] = not failed, ", ".join(failed)
    sound = [row for row in tried if _finite(row)]
    if not sound:
        raise ValueError("no candidate has finite scores; expected a score that is finite")
    best = front(sound, _aims)
    for row in tried:
        row["front"] = any(row is one for one in best)

    def least(rows: Sequence[Row]) -> Row:
        return min(rows, key=lambda row: _cost(row, by))

    kept = [row for row in sound if row["kept"]]
    if kept:
        return least(kept), f"{BY[by]} of {len(kept)} that pass every filter", False
    early = [row for row in sound if row["layer"] < late and row["kl"] <= kl_max]
    if early:
        reason = f"{BY[by]} with kl <= {kl_max:g}; no candidate induces >= {induce_min:g}"
        return least(early), reason, True
    gentle = [row for row in sound if row["kl"] <= kl_max]
    if gentle:
        reason = f"{BY[by]} with kl <= {kl_max:g}; only late layers have it"
        return least(gentle), reason, True
    reason = f"knee of {by} against kl; no candidate has kl <= {kl_max:g}"
    return knee(sound, by), reason, True


def _finite(row: Row) -> bool:
    return all(math.isfinite(row[name]) for name in SCORES)


def _failures(row: Row, kl_max: float, induce_min: float, late: float) -> dict[str, bool]:
    finite = _finite(row)
    return {
        "not finite": not finite,
        f"kl above {kl_max:g}": finite and row["kl"] > kl_max,
        f"induce below {induce_min:g}": finite and row["induce"] < induce_min,
        f"behind {LATE:.0%} of the layers": row["layer"] >= late,
    }


def _cost(row: Row, by: str) -> float:
    cost: float = row["bypass"] if by == "bypass" else -row["cosmic"]
    return cost


def _aims(row: Row) -> tuple[float, ...]:
    return row["bypass"], -row["induce"], row["kl"]


def front(rows: Sequence[Row], costs: Callable[[Row], tuple[float, ...]]) -> list[Row]:
    """The Pareto front: rows that no other beats in one cost and equals or beats in the rest."""
    return [
        row
        for row in rows
        if not any(
            all(b <= a for a, b in zip(costs(row), costs(other), strict=True))
            and costs(other) != costs(row)
            for other in rows
        )
    ]


def knee(rows: Sequence[Row], by: str = "bypass") -> Row:
    """The row nearest to the best of both; bypass (or less cosmic) and log kl are scaled to [0, 1]
    on the front.
    """

    def cost(row: Row) -> tuple[float, float]:
        return _cost(row, by), math.log(max(row["kl"], 1e-12))

    best = front(rows, cost)
    low = [min(cost(row)[i] for row in best) for i in range(2)]
    high = [max(cost(row)[i] for row in best) for i in range(2)]

    def distance(row: Row) -> float:
        return math.hypot(
            *(
                (c - a) / (b - a) if b > a else 0.0
                for c, a, b in zip(cost(row), low, high, strict=True)
            )
        )

    return min(best, key=distance)
