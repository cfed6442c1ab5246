"""Moments of activations per class, point and position, in two halves."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lenswright import _core
from lenswright.collecting.accumulators import Parts, merged_parts, parts_of, states_of
from lenswright.collecting.positions import position_index
from lenswright.collecting.statistics_parts import StatisticsParts
from lenswright.prompting.prompts import CLASSES


class Statistics(StatisticsParts):
    """What is kept of activations per (class, point, position), each in two halves of the prompts.

    Everything is float64. `positions` are labels, `offsets` where they lie (negative: from the
    end). `provenance` says which prompts, model, template and settings they come from. `parts` are
    the accumulators, by kind and point. Made by `Model.collect`.
    """

    def __init__(
        self,
        moments: Mapping[str, _core.Moments],
        shapes: Mapping[str, tuple[int, ...]],
        positions: Sequence[str],
        offsets: Sequence[int | None],
        what: Sequence[str],
        provenance: Mapping[str, Any],
        parts: Parts | None = None,
    ) -> None:
        self.moments = dict(moments)
        self.parts: Parts = {"moments": self.moments, **(parts or {})}
        self.shapes = dict(shapes)
        self.classes = CLASSES
        self.points = tuple(moments)
        self.positions = tuple(positions)
        self.offsets = tuple(offsets)
        self.what = tuple(what)
        self.provenance = dict(provenance)

    def halves(self, name: str, point: str) -> tuple[_core.Moments, _core.Moments]:
        """Moments of the two halves of a class at a point, a cell a position."""
        first, second = self._halves("moments", name, point)
        return first, second

    def _pooled(self, name: str, point: str) -> _core.Moments:
        first, second = self.halves(name, point)
        first.merge(second)
        return first

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
        merged = merged_parts(self.parts, other.parts)
        moments = merged.pop("moments")
        return Statistics(
            moments, self.shapes, self.positions, self.offsets, self.what,
            self.provenance | {"fit": fit}, merged,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write a safetensors file; `Statistics.load` reads it back bit for bit."""
        from lenswright.checkpoints.tensor_file import save

        facts = {
            "points": self.points, "shapes": self.shapes, "positions": self.positions,
            "offsets": self.offsets, "what": self.what, "kinds": list(self.parts),
            "provenance": self.provenance,
        }  # fmt: skip
        save(path, states_of(self.parts), {"lenswright.statistics": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a safetensors file of something else.
        """
        from lenswright.checkpoints.tensor_file import load

        tensors, facts = load(path, "lenswright.statistics")
        parts = parts_of(tensors, facts["kinds"], facts["points"])
        shapes = {point: tuple(shape) for point, shape in facts["shapes"].items()}
        moments = parts.pop("moments")
        return cls(
            moments, shapes, facts["positions"], facts["offsets"], facts["what"],
            facts["provenance"], parts,
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
    } | (
        {"pairs": mine["pairs"] | theirs["pairs"]} if "pairs" in mine and "pairs" in theirs else {}
    )
