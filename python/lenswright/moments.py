"""Moments of activations per class, point and position, in two halves."""

from __future__ import annotations

import difflib
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lenswright import _core
from lenswright.collection import HALVES
from lenswright.positions import position_index
from lenswright.prompts import CLASSES


class Statistics:
    """Moments of activations per (class, point, position), each in two halves of the prompts.

    Everything is float64. `positions` are labels, `offsets` where they lie (negative: from the
    end). `provenance` says which prompts, model, template and settings they come from. Made by
    `Model.collect`.
    """

    def __init__(
        self,
        moments: Mapping[str, _core.Moments],
        shapes: Mapping[str, tuple[int, ...]],
        positions: Sequence[str],
        offsets: Sequence[int | None],
        what: Sequence[str],
        provenance: Mapping[str, Any],
    ) -> None:
        self.moments = dict(moments)
        self.shapes = dict(shapes)
        self.classes = CLASSES
        self.points = tuple(moments)
        self.positions = tuple(positions)
        self.offsets = tuple(offsets)
        self.what = tuple(what)
        self.provenance = dict(provenance)

    def halves(self, name: str, point: str) -> tuple[_core.Moments, _core.Moments]:
        """Moments of the two halves of a class at a point, a cell a position."""
        if name not in self.classes:
            raise KeyError(f"class is {name!r}, expected one of {list(self.classes)}")
        moments = self.moments[self._known(point)]
        count = len(self.positions)
        first = self.classes.index(name) * HALVES * count
        cells = [torch.arange(first + h * count, first + (h + 1) * count) for h in range(HALVES)]
        return moments.at(cells[0]), moments.at(cells[1])

    def _pooled(self, name: str, point: str) -> _core.Moments:
        first, second = self.halves(name, point)
        first.merge(second)
        return first

    def _known(self, point: str) -> str:
        if point not in self.moments:
            near = difflib.get_close_matches(point, self.points, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise KeyError(f"point is {point!r}, expected one of those collected{hint}")
        return point

    def _shaped(self, values: torch.Tensor, point: str) -> torch.Tensor:
        return values.reshape(len(self.positions), *self.shapes[point])

    def n(self, name: str) -> torch.Tensor:
        """Samples of a class at each position [positions] int64."""
        return self._pooled(name, self.points[0]).count

    def mean(self, name: str, point: str) -> torch.Tensor:
        """Mean of a class at a point [positions, ...] float64."""
        return self._shaped(self._pooled(name, point).mean, point)

    def variance(self, name: str, point: str) -> torch.Tensor:
        """Variance of each coordinate, n - 1 in the denominator [positions, ...] float64.

        Raises:
            ValueError: collected with what=("mean",).
        """
        return self._shaped(self._pooled(name, point).variance(), point)

    def position_index(self, position: str | int) -> int:
        """Index of a position given by label or offset."""
        return position_index(position, self.positions, self.offsets)

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of both sets of prompts together; neither of the two changes.

        Raises:
            ValueError: they differ in points, positions or content, come from different models, or
                share a prompt, which would count twice.
        """
        for name in ("points", "positions", "offsets", "what", "shapes"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(f"other has {name} {theirs}, expected {mine}")
        if self.provenance["model"] != other.provenance["model"]:
            raise ValueError(
                f"other comes from the model {other.provenance['model']}, expected "
                f"{self.provenance['model']}"
            )
        fit = _merged_prompts(self.provenance["fit"], other.provenance["fit"])
        merged = {}
        for point, moments in self.moments.items():
            merged[point] = _core.Moments.of(moments.count, moments.mean, moments.m2)
            merged[point].merge(other.moments[point])
        return Statistics(
            merged, self.shapes, self.positions, self.offsets, self.what,
            self.provenance | {"fit": fit},
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write a safetensors file; `Statistics.load` reads it back bit for bit."""
        from lenswright.tensor_file import save

        tensors = {}
        for point, moments in self.moments.items():
            for part in ("count", "mean", "m2"):
                value = getattr(moments, part)
                if value is not None:
                    tensors[f"{point}/{part}"] = value
        facts = {
            "points": self.points, "shapes": self.shapes, "positions": self.positions,
            "offsets": self.offsets, "what": self.what, "provenance": self.provenance,
        }  # fmt: skip
        save(path, tensors, {"lenswright.statistics": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a safetensors file of something else.
        """
        from lenswright.tensor_file import load

        tensors, facts = load(path, "lenswright.statistics")
        moments = {
            point: _core.Moments.of(
                tensors[f"{point}/count"], tensors[f"{point}/mean"], tensors.get(f"{point}/m2")
            )
            for point in facts["points"]
        }
        shapes = {point: tuple(shape) for point, shape in facts["shapes"].items()}
        return cls(
            moments, shapes, facts["positions"], facts["offsets"], facts["what"],
            facts["provenance"],
        )  # fmt: skip

    def __repr__(self) -> str:
        counts = ", ".join(f"{int(self.n(name).max())} {name}" for name in self.classes)
        return (
            f"Statistics({', '.join(self.what)} of {len(self.points)} points x "
            f"{len(self.positions)} positions {list(self.positions)}; samples: {counts})"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{point}</code></td>"
            + "".join(
                f"<td>{', '.join(f'{v:.3g}' for v in _norms(self.mean(name, point)))}</td>"
                for name in self.classes
            )
            + "</tr>"
            for point in self.points
        )
        head = "".join(f"<th>|mean| of {name}</th>" for name in self.classes)
        return f"<b>{html.escape(repr(self))}</b><table><tr><th>point</th>{head}</tr>{rows}</table>"


def _norms(mean: torch.Tensor) -> list[float]:
    return mean.flatten(1).norm(dim=1).tolist()


def _merged_prompts(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    shared = set(mine["digests"]) & set(theirs["digests"])
    if shared:
        raise ValueError(f"other shares {len(shared)} prompts with these; they would count twice")
    both = hashlib.sha256("".join(sorted([mine["sha256"], theirs["sha256"]])).encode())
    return {
        "role": mine["role"],
        "sha256": both.hexdigest(),
        "digests": sorted(mine["digests"] + theirs["digests"]),
        "positive": mine["positive"] + theirs["positive"],
        "negative": mine["negative"] + theirs["negative"],
    }
