"""Contrast directions: how two classes of prompts differ inside a model, and how surely."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.collecting.positions import position_index
from lenswright.estimators.between_layers import BetweenLayers, layer_of
from lenswright.jsonable import finite_or_none
from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright.plots import Figure

OWN = ("raw", "unit", "norm", "standard_error", "split_cosine", "separation")
MEASURES = ("norm", "standard_error", "relative_error", "split_cosine", "separation")


@dataclass(frozen=True)
class Found:
    """The directions of one point, a row a position; float64.

    raw: what the method gives [positions, ...]; unit: raw / norm, zeros where the classes do not
    differ; norm, standard_error, split_cosine, separation [positions]: see `difference_of_means`.
    more: what else the method gives, a row a position each: basis [positions, k, ...] (orthonormal,
    of a subspace), read and write [positions, k, ...] with centre [positions, ...] (of an erasure),
    values [positions, k], bias, accuracy, shrinkage [positions] ...
    """

    raw: torch.Tensor
    unit: torch.Tensor
    norm: torch.Tensor
    standard_error: torch.Tensor
    split_cosine: torch.Tensor
    separation: torch.Tensor
    more: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def relative_error(self) -> torch.Tensor:
        """standard_error / norm [positions]; infinite where the norm is zero."""
        return self.standard_error / self.norm

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything, by name; what is in `more` under "more.NAME"."""
        own = {name: getattr(self, name) for name in OWN}
        return own | {f"more.{name}": value for name, value in self.more.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Found:
        """From what `tensors` gave."""
        more = {n.removeprefix("more."): t for n, t in tensors.items() if n.startswith("more.")}
        return cls(**{name: tensors[name] for name in OWN}, more=more)


@dataclass(frozen=True)
class Erasure:
    """A projection x' = x - writeᵀ read (x - centre), for an edit W' = (I - writeᵀ read) W.

    read, write [k, d]; centre [d]; float64. Applying it twice is applying it once.
    """

    read: torch.Tensor
    write: torch.Tensor
    centre: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [..., d] without the concept."""
        read, write, centre = (t.to(x) for t in (self.read, self.write, self.centre))
        return x - (x - centre) @ read.t() @ write

    def matrix(self) -> torch.Tensor:
        """I - writeᵀ read [d, d]."""
        return torch.eye(len(self.centre), dtype=self.read.dtype) - self.write.t() @ self.read


class Directions(BetweenLayers):
    """A direction per (point, position), with how surely it is known.

    Made by the estimators of `lenswright.directions`; `provenance` says by which, from which
    prompts, model and template.
    """

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
            hint = did_you_mean(point, self.points)
            raise KeyError(f"point is {point!r}, expected one of these directions'{hint}")
        return self.found[point], position_index(position, self.positions, self.offsets)

    def vector(self, point: str, position: str | int) -> torch.Tensor:
        """The unit direction of a point at a position (label or offset), float64."""
        found, index = self._at(point, position)
        return found.unit[index]

    def raw(self, point: str, position: str | int) -> torch.Tensor:
        """What the method gave, not normalised, float64: of means, their difference."""
        found, index = self._at(point, position)
        return found.raw[index]

    def subspace(self, point: str, position: str | int) -> torch.Tensor:
        """The orthonormal directions [k, d] of a point at a position; one where no more are known.

        What stands at the point is taken as one vector.
        """
        found, index = self._at(point, position)
        if "basis" not in found.more:
            return found.unit[index].reshape(1, -1)
        return found.more["basis"][index]

    def erasure(self, point: str, position: str | int) -> Erasure:
        """The projection that a point's erasure at a position is.

        Raises:
            ValueError: the method is none that erases.
        """
        found, index = self._at(point, position)
        if "read" not in found.more:
            raise ValueError(
                f"these directions were made by {self.provenance.get('method')!r}, expected an "
                "erasure: leace or binary_leace"
            )
        more = found.more
        return Erasure(more["read"][index], more["write"][index], more["centre"][index])

    def only(self, point: str, position: str | int) -> Directions:
        """The one direction of a point at a position: what an edit takes."""
        found, index = self._at(point, position)
        kept = {name: value[index : index + 1] for name, value in found.tensors().items()}
        return Directions(
            {point: Found.of(kept)}, self.positions[index : index + 1],
            self.offsets[index : index + 1], self.provenance,
        )  # fmt: skip

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
                rows.append(row | {m: finite_or_none(getattr(found, m)[index]) for m in MEASURES})
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
        from lenswright.checkpoints.tensor_file import save

        tensors = {
            f"{p}/{name}": t for p, f in self.found.items() for name, t in f.tensors().items()
        }
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
        from lenswright.checkpoints.tensor_file import load

        tensors, facts = load(path, "lenswright.directions")
        found = {
            point: Found.of(
                {
                    name.removeprefix(f"{point}/"): value
                    for name, value in tensors.items()
                    if name.startswith(f"{point}/")
                }
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


def _short(point: str) -> str:
    return re.sub(r"^blocks\.(\d+)\.(?:hook_)?", r"\1 ", point).replace("hook_", "")
