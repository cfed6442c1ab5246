"""What a selection ends with: one direction, why it, and what it was chosen among."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.plots import Figure

COLUMNS = (
    "bypass", "induce", "kl", "cosmic", "separation", "norm", "relative_error", "split_cosine",
)  # fmt: skip


@dataclass(frozen=True)
class Null:
    """The scores of random directions of equal norm, and of no direction at all.

    bypass, induce, kl, cosmic: a number a random direction. base: {"bypass", "induce", "cosmic"},
    the scores of the unchanged model on the positive and on the negative prompts, and on both.
    """

    bypass: list[float]
    induce: list[float]
    kl: list[float]
    cosmic: list[float]
    base: dict[str, float]

    def z(self, name: str, value: float) -> float:
        """Standard deviations between a value and the mean of the null; below it is negative.

        Raises:
            ValueError: the null has fewer than two directions.
        """
        null = torch.tensor(getattr(self, name), dtype=torch.float64)
        if len(null) < 2:
            raise ValueError(f"the null has {len(null)} directions, expected at least 2 for a z")
        distance, spread = value - float(null.mean()), float(null.std())
        return distance / spread if spread > 0 else math.copysign(math.inf, distance)


@dataclass(frozen=True)
class Choice:
    """One direction, chosen on `select` prompts among those of a `Directions`.

    vector: unit [d_model] float64; raw_norm: the norm of the difference of means it comes from.
    point, position (its label), offset, layer: where it was found.
    reason: why this one, in a sentence. fallback: whether the filters left none and were relaxed.
    table: a row a candidate, with bypass, induce, kl, cosmic, separation (None where not tried),
    the measures of its estimate, kept, why not where it was not, and front: whether no other is
    better at bypass, induce or kl without being worse at another.
    null: the same scores for random directions. z: of bypass, induce, kl and cosmic against them.
    """

    vector: torch.Tensor
    point: str
    position: str
    offset: int
    layer: int
    raw_norm: float
    reason: str
    fallback: bool
    table: list[dict[str, Any]]
    null: Null
    z: dict[str, float]
    provenance: dict[str, Any] = field(repr=False)

    @property
    def raw(self) -> torch.Tensor:
        """The difference of means itself [d_model] float64."""
        return self.vector * self.raw_norm

    @property
    def row(self) -> dict[str, Any]:
        """The chosen row of the table."""
        return next(
            row
            for row in self.table
            if row["point"] == self.point and row["position"] == self.position
        )

    @property
    def front(self) -> list[dict[str, Any]]:
        """The rows of the table on the Pareto front of bypass, induce and kl, by bypass."""
        return sorted((row for row in self.table if row["front"]), key=lambda row: row["bypass"])

    def measure(self, name: str) -> tuple[list[str], list[str], torch.Tensor]:
        """One column as a grid: points, positions, values [points, positions] (NaN: not tried)."""
        if name not in COLUMNS:
            raise ValueError(f"name is {name!r}, expected one of {list(COLUMNS)}")
        points = list(dict.fromkeys(row["point"] for row in self.table))
        positions = list(dict.fromkeys(row["position"] for row in self.table))
        grid = torch.full((len(points), len(positions)), math.nan, dtype=torch.float64)
        for row in self.table:
            if row[name] is not None:
                grid[points.index(row["point"]), positions.index(row["position"])] = row[name]
        return points, positions, grid

    def plot(self, measure: str = "bypass") -> Figure:
        """A heat map of one column of the table, the chosen direction marked."""
        from lenswright.plots import heatmap

        points, positions, grid = self.measure(measure)
        return heatmap(
            grid, rows=points, columns=positions, row_name="point", column_name="position",
            title=measure, marked=(points.index(self.point), positions.index(self.position)),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything but the vector, as plain data for a report."""
        names = ("point", "position", "offset", "layer", "raw_norm", "reason", "fallback")
        plain = {name: getattr(self, name) for name in names}
        plain |= {"table": self.table, "z": self.z, "provenance": self.provenance}
        return plain | {"null": vars(self.null)}

    def __repr__(self) -> str:
        row, base = self.row, self.null.base
        return (
            f"Choice({self.point}, position '{self.position}': bypass {row['bypass']:.3f} "
            f"(unchanged {base['bypass']:.3f}, z {self.z['bypass']:.1f} against "
            f"{len(self.null.bypass)} random), induce {row['induce']:.3f} (unchanged "
            f"{base['induce']:.3f}), kl {row['kl']:.4f}; {self.reason}; "
            f"{len(self.front)} on the Pareto front)"
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in COLUMNS)
        body = "".join(_html_row(row, row is self.row) for row in self.table)
        return (
            f"<b>{html.escape(repr(self))}</b><table><tr><th>point</th><th>position</th>{head}"
            f"<th></th></tr>{body}</table>"
        )


def _html_row(row: dict[str, Any], chosen: bool) -> str:
    cells = "".join(f"<td>{'' if row[c] is None else format(row[c], '.3g')}</td>" for c in COLUMNS)
    style = ' style="font-weight:bold"' if chosen else ""
    note = "chosen" if chosen else html.escape(row["why"])
    note += " (Pareto front)" if row["front"] else ""
    where = f"<td><code>{row['point']}</code></td><td>{html.escape(row['position'])}</td>"
    return f"<tr{style}>{where}{cells}<td>{note}</td></tr>"
