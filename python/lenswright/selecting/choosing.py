"""Which of the tried directions to take: filters, and what is done where they leave none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LATE = 0.8  # of the depth; directions behind it are near the words themselves

Row = dict[str, Any]


def choose(
    tried: Sequence[Row], kl_max: float, induce_min: float, n_layers: int | None
) -> tuple[Row, str, bool]:
    """The best of the tried rows, why, and whether filters had to be relaxed.

    Writes `kept` and `why` into the rows. `n_layers` None: no filter by depth.
    """
    late = math.inf if n_layers is None else LATE * n_layers
    for row in tried:
        failed = [name for name, bad in _failures(row, kl_max, induce_min, late).items() if bad]
        row["kept"], row["why"] = not failed, ", ".join(failed)
    sound = [row for row in tried if all(math.isfinite(row[c]) for c in ("bypass", "kl", "induce"))]
    if not sound:
        raise ValueError("no candidate has finite scores; expected a score that is finite")

    def least(rows: Sequence[Row]) -> Row:
        return min(rows, key=lambda row: row["bypass"])

    kept = [row for row in sound if row["kept"]]
    if kept:
        return least(kept), f"least bypass of {len(kept)} that pass every filter", False
    early = [row for row in sound if row["layer"] < late and row["kl"] <= kl_max]
    if early:
        reason = f"least bypass with kl <= {kl_max:g}; no candidate induces >= {induce_min:g}"
        return least(early), reason, True
    gentle = [row for row in sound if row["kl"] <= kl_max]
    if gentle:
        reason = f"least bypass with kl <= {kl_max:g}; only late layers have it"
        return least(gentle), reason, True
    reason = f"knee of bypass against kl; no candidate has kl <= {kl_max:g}"
    return knee(sound), reason, True


def _failures(row: Row, kl_max: float, induce_min: float, late: float) -> dict[str, bool]:
    finite = all(math.isfinite(row[name]) for name in ("bypass", "kl", "induce"))
    return {
        "not finite": not finite,
        f"kl above {kl_max:g}": finite and row["kl"] > kl_max,
        f"induce below {induce_min:g}": finite and row["induce"] < induce_min,
        f"behind {LATE:.0%} of the layers": row["layer"] >= late,
    }


def knee(rows: Sequence[Row]) -> Row:
    """The row nearest to the best of both; bypass and log kl are scaled to [0, 1] on the front."""

    def cost(row: Row) -> tuple[float, float]:
        return row["bypass"], math.log(max(row["kl"], 1e-12))

    front = [
        row
        for row in rows
        if not any(
            all(b <= a for a, b in zip(cost(row), cost(other), strict=True))
            and cost(other) != cost(row)
            for other in rows
        )
    ]
    low = [min(cost(row)[i] for row in front) for i in range(2)]
    high = [max(cost(row)[i] for row in front) for i in range(2)]

    def distance(row: Row) -> float:
        return math.hypot(
            *(
                (c - a) / (b - a) if b > a else 0.0
                for c, a, b in zip(cost(row), low, high, strict=True)
            )
        )

    return min(front, key=distance)
