"""How directions of several layers and methods lie to each other and to the classes' means."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright.collecting.positions import position_index
from lenswright.estimators.between_layers import layer_of
from lenswright.estimators.found import Directions

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.plots import Figure


@dataclass(frozen=True)
class Geometry:
    """Cosines between layers and between methods, and a table beside the classes' means."""

    methods: dict[str, Directions]
    stats: Statistics | None
    points: tuple[str, ...]
    positions: tuple[str, ...]

    def between_layers(self, position: str | int, method: str | None = None) -> torch.Tensor:
        """Cosines of one method's directions at a position [points, points] float64."""
        units = self._units(position, method)
        return units @ units.t()

    def between_methods(self, point: str, position: str | int) -> torch.Tensor:
        """Cosines of the methods' directions at a point and position [methods, methods]."""
        units = torch.stack(
            [found.vector(point, position).flatten() for found in self.methods.values()]
        )
        return units @ units.t()

    def angles(self, cosines: torch.Tensor) -> torch.Tensor:
        """Cosines as degrees, 0 to 180."""
        return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))

    def _units(self, position: str | int, method: str | None) -> torch.Tensor:
        found = self._method(method)
        return torch.stack([found.vector(point, position).flatten() for point in self.points])

    def _method(self, method: str | None) -> Directions:
        name = next(iter(self.methods)) if method is None else method
        if name not in self.methods:
            raise KeyError(f"method is {name!r}, expected one of {list(self.methods)}")
        return self.methods[name]

    def table(self, method: str | None = None) -> list[dict[str, Any]]:
        """A row a point and position.

        With statistics: norms of the means of the classes (|g| negative, |b| positive) and of the
        direction (|r|), cosines S(g, b), S(g, r), S(b, r), and where samples are kept the mean
        silhouette of the two classes. With several methods: each one's cosine with this one.
        """
        found = self._method(method)
        rows = []
        for point in self.points:
            for index, position in enumerate(self.positions):
                row: dict[str, Any] = {
                    "point": point, "layer": layer_of(point), "position": position,
                    "|r|": float(found.found[point].norm[index]),
                }  # fmt: skip
                r = found.vector(point, position).flatten()
                row |= self._beside_means(point, index, r)
                for name, other in self.methods.items():
                    if other is not found:
                        row[f"S(r, {name})"] = float(r @ other.vector(point, position).flatten())
                rows.append(row)
        return rows

    def _beside_means(self, point: str, index: int, r: torch.Tensor) -> dict[str, float]:
        if self.stats is None:
            return {}
        place = self.stats.position_index(self.positions[index])
        g = self.stats.mean("negative", point)[place].flatten()
        b = self.stats.mean("positive", point)[place].flatten()
        row = {
            "|g|": float(g.norm()), "|b|": float(b.norm()), "S(g, b)": cosine(g, b),
            "S(g, r)": cosine(g, r), "S(b, r)": cosine(b, r),
        }  # fmt: skip
        if "kept" in self.stats.parts:
            label = self.positions[index]
            classes = [self.stats.samples(name, point, label) for name in ("positive", "negative")]
            row["silhouette"] = silhouette(*classes)
        return row

    def plot(self, position: str | int, method: str | None = None) -> Figure:
        """A heat map of the cosines between layers at a position."""
        from lenswright.plots import heatmap

        return heatmap(
            self.between_layers(position, method), rows=self.points, columns=self._short(),
            row_name="point", column_name="point", title="cosine between layers", low=-1, high=1,
        )  # fmt: skip

    def plot_methods(self, position: str | int, method: str | None = None) -> Figure:
        """Lines over points of each other method's cosine with this one at a position.

        Raises:
            ValueError: there is one method only.
        """
        from lenswright.plots import lines

        found = self._method(method)
        series = {
            name: [
                float(found.vector(p, position).flatten() @ other.vector(p, position).flatten())
                for p in self.points
            ]
            for name, other in self.methods.items()
            if other is not found
        }
        if not series:
            raise ValueError("methods has one entry only, expected two or more to compare")
        return lines(series, x=self._short(), x_name="point", y_name="cosine", low=-1, high=1)

    def _short(self) -> list[str]:
        return [str(p if layer_of(p) is None else layer_of(p)) for p in self.points]

    def __repr__(self) -> str:
        return (
            f"Geometry({list(self.methods)} at {len(self.points)} points x "
            f"{len(self.positions)} positions)"
        )

    def _repr_html_(self) -> str:
        label = self.positions[-1]
        return f"<b>{html.escape(repr(self))}</b>{self.plot(label)._repr_html_()}"


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Cosine of two vectors, NaN where one is zero."""
    lengths = float(a.norm() * b.norm())
    return float(a @ b) / lengths if lengths > 0 else math.nan


def silhouette(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """Mean over samples of (b - a) / max(a, b): a the mean distance to the others of one's own
    class, b that to the other class (Rousseeuw 1987). NaN where a class has one sample.
    """
    if min(len(positive), len(negative)) < 2:
        return math.nan
    scores = []
    for own, other in ((positive, negative), (negative, positive)):
        a = torch.cdist(own, own, compute_mode="donot_use_mm_for_euclid_dist").sum(1) / (
            len(own) - 1
        )
        b = torch.cdist(own, other, compute_mode="donot_use_mm_for_euclid_dist").mean(1)
        largest = torch.maximum(a, b)
        scores.append(torch.where(largest > 0, (b - a) / largest, 0.0))
    return float(torch.cat(scores).mean())


def geometry(
    found: Directions | Mapping[str, Directions], stats: Statistics | None = None
) -> Geometry:
    """How directions lie to each other: over layers, over methods, and to the classes' means.

    Example:
        >>> lda = lw.directions.lda(stats)
        >>> means = lw.directions.difference_of_means(stats)
        >>> shape = lw.directions.geometry({"means": means, "lda": lda}, stats)
        >>> shape.table(), shape.plot(-1), shape.plot_methods(-1)

    Args:
        found: directions, or several by the names of their methods, of the same points.
        stats: what they were made from; with it the table has the means' columns.

    Raises:
        ValueError: no directions, or of different points or positions.
    """
    if isinstance(found, Directions):
        methods = {str(found.provenance.get("method", "directions")): found}
    else:
        methods = dict(found)
    if not methods:
        raise ValueError("found is empty, expected at least one Directions")
    first = next(iter(methods.values()))
    for name, other in methods.items():
        if (other.points, other.positions) != (first.points, first.positions):
            raise ValueError(f"found has '{name}' of other points or positions than the first")
    if stats is not None:
        for point in first.points:
            stats._known(point)
        for position in first.positions:
            position_index(position, stats.positions, stats.offsets)
    return Geometry(methods, stats, first.points, first.positions)
