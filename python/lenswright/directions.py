"""Contrast directions: how two classes of prompts differ inside a model, and how surely."""

from __future__ import annotations

import difflib
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.choice import Choice
from lenswright.positions import position_index
from lenswright.scores import RefusalScore, Score, TokenLogOdds, score_prompts
from lenswright.selection import select

if TYPE_CHECKING:
    from lenswright.plots import Figure
    from lenswright.statistics import Statistics

__all__ = [
    "Choice",
    "Directions",
    "RefusalScore",
    "Score",
    "TokenLogOdds",
    "difference_of_means",
    "score_prompts",
    "select",
]

MEASURES = ("norm", "standard_error", "relative_error", "split_cosine", "separation")


@dataclass(frozen=True)
class Found:
    """The directions of one point, a row a position; float64.

    raw: difference of means [positions, ...]; unit: raw / norm, zeros where they do not differ;
    norm, standard_error, split_cosine, separation [positions]: see `difference_of_means`.
    """

    raw: torch.Tensor
    unit: torch.Tensor
    norm: torch.Tensor
    standard_error: torch.Tensor
    split_cosine: torch.Tensor
    separation: torch.Tensor

    @property
    def relative_error(self) -> torch.Tensor:
        """standard_error / norm [positions]; infinite where the norm is zero."""
        return self.standard_error / self.norm


class Directions:
    """A direction per (point, position), with how surely it is known. See `difference_of_means`."""

    def __init__(
        self,
        found: Mapping[str, Found],
        positions: Sequence[str],
        offsets: Sequence[int | None],
        provenance: Mapping[str, Any],
    ) -> None:
        self.found = dict(found)
        self.points = tuple(found)
        self.positions = tuple(positions)
        self.offsets = tuple(offsets)
        self.provenance = dict(provenance)

    def _at(self, point: str, position: str | int) -> tuple[Found, int]:
        if point not in self.found:
            near = difflib.get_close_matches(point, self.points, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise KeyError(f"point is {point!r}, expected one of these directions'{hint}")
        return self.found[point], position_index(position, self.positions, self.offsets)

    def vector(self, point: str, position: str | int) -> torch.Tensor:
        """The unit direction of a point at a position (label or offset), float64."""
        found, index = self._at(point, position)
        return found.unit[index]

    def raw(self, point: str, position: str | int) -> torch.Tensor:
        """The difference of means itself, not normalised, float64."""
        found, index = self._at(point, position)
        return found.raw[index]

    def measure(self, name: str) -> torch.Tensor:
        """One measure of every direction [points, positions] float64.

        Args:
            name: "norm", "standard_error", "relative_error", "split_cosine" or "separation".

        Raises:
            ValueError: another name.
        """
        if name not in MEASURES:
            raise ValueError(f"name is {name!r}, expected one of {list(MEASURES)}")
        return torch.stack([getattr(found, name) for found in self.found.values()])

    def table(self) -> list[dict[str, Any]]:
        """A row a direction: point, layer, position, offset and every measure (None: undefined)."""
        rows = []
        for point, found in self.found.items():
            for index, (label, offset) in enumerate(zip(self.positions, self.offsets, strict=True)):
                row: dict[str, Any] = {"point": point, "layer": layer_of(point)}
                row |= {"position": label, "offset": offset}
                rows.append(row | {m: _finite(getattr(found, m)[index]) for m in MEASURES})
        return rows

    def plot(self, measure: str = "separation") -> Figure:
        """A heat map of one measure: points down, positions across."""
        from lenswright.plots import heatmap

        return heatmap(
            self.measure(measure), rows=[_short(p) for p in self.points], columns=self.positions,
            row_name="point", column_name="position", title=measure.replace("_", " "),
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write a safetensors file; `Directions.load` reads it back bit for bit."""
        from lenswright.tensor_file import save

        parts = Found.__dataclass_fields__
        tensors = {f"{p}/{name}": getattr(f, name) for p, f in self.found.items() for name in parts}
        facts = {
            "points": self.points, "positions": self.positions, "offsets": self.offsets,
            "provenance": self.provenance,
        }  # fmt: skip
        save(path, tensors, {"lenswright.directions": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Directions:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a safetensors file of something else.
        """
        from lenswright.tensor_file import load

        tensors, facts = load(path, "lenswright.directions")
        found = {
            point: Found(
                **{name: tensors[f"{point}/{name}"] for name in Found.__dataclass_fields__}
            )
            for point in facts["points"]
        }
        return cls(found, facts["positions"], facts["offsets"], facts["provenance"])

    def __repr__(self) -> str:
        norm, separation = self.measure("norm"), self.measure("separation")
        best = torch.where(norm > 0, separation, -math.inf).argmax()
        row, column = divmod(int(best), len(self.positions))
        return (
            f"Directions({len(self.points)} points x {len(self.positions)} positions "
            f"{list(self.positions)}; widest apart at {self.points[row]}, position "
            f"'{self.positions[column]}': separation {separation[row, column]:.3g}, split-half "
            f"cosine {self.measure('split_cosine')[row, column]:.3f})"
        )

    def _repr_html_(self) -> str:
        text = html.escape(repr(self))
        return f"<b>{text}</b>{self.plot()._repr_html_()}"


def difference_of_means(
    stats: Statistics, positive: str = "positive", negative: str = "negative"
) -> Directions:
    """The difference of two classes' means at every point and position, in float64.

    Per (point, position), with n, mean and variance of each class:

    * raw = mean of positive - mean of negative, norm = |raw|, unit = raw / norm;
    * standard_error = sqrt(sum_j(var+_j / n+ + var-_j / n-)), the distance at which raw is expected
      to lie from the true difference; relative_error = standard_error / norm;
    * split_cosine: cosine of the differences that the two halves of the prompts give by themselves;
    * separation (d'): norm / sqrt((s+ + s-) / 2), where s = sum_j unit_j^2 var_j is the variance
      along the direction if coordinates do not correlate. It is made on the prompts that made the
      direction; `select` reports the exact one on prompts of its own.

    Args:
        stats: with variances (what=("mean", "variance")).
        positive, negative: classes; the direction points from the second to the first.

    Raises:
        KeyError: no such class.
        ValueError: statistics without variances.
    """
    if "variance" not in stats.what:
        raise ValueError(
            f"stats keeps {list(stats.what)}, expected 'variance' among them (the standard error "
            "needs it): collect with what=('mean', 'variance')"
        )
    found = {}
    for point in stats.points:
        values = _core.difference_of_means(
            *stats.halves(positive, point), *stats.halves(negative, point)
        )
        for name in ("raw", "unit"):
            values[name] = values[name].reshape(len(stats.positions), *stats.shapes[point])
        found[point] = Found(**values)
    method = {"method": "difference_of_means", "classes": [positive, negative]}
    return Directions(found, stats.positions, stats.offsets, stats.provenance | method)


def layer_of(point: str) -> int | None:
    """The block a point lies in, None outside blocks."""
    match = re.match(r"blocks\.(\d+)\.", point)
    return None if match is None else int(match.group(1))


def _finite(value: torch.Tensor) -> float | None:
    return float(value) if math.isfinite(value) else None


def _short(point: str) -> str:
    return re.sub(r"^blocks\.(\d+)\.(?:hook_)?", r"\1 ", point).replace("hook_", "")
