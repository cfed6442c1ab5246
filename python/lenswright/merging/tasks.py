"""What fine-tunes did to their base: sizes, angles, conflicts; by tensor and by layer."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright import _files
from lenswright.checkpoints.checkpoint import Report
from lenswright.checkpoints.hub import resolve

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")


def layer_of(tensor: str) -> int | None:
    """The number of a tensor's layer, None outside of layers."""
    found = _LAYER.search(tensor)
    return int(found[1]) if found else None


def layer_parts(tensor: str) -> str:
    """A tensor's name without the number of its layer."""
    found = _LAYER.search(tensor)
    return tensor if found is None else f"{tensor[: found.start(1)]}*{tensor[found.end(1) :]}"


@dataclass
class TaskTensor:
    """One tensor: what each model's difference to the base is like, in float64."""

    name: str
    elements: int
    base_norm: float
    norms: list[float]  # |model - base|, Frobenius
    changed: list[int]  # elements that differ
    densities: list[float]  # (Σ|δ|)² / (n Σδ²): 1 where all changed alike, 1/n where one did
    cosines: list[float]  # of every pair of differences, (0, 1), (0, 2), … (1, 2) …
    shared: int  # elements that more than one model changed
    conflicts: int  # of those: up by one, down by another

    @property
    def layer(self) -> int | None:
        """The number of its layer, None outside of layers."""
        return layer_of(self.name)


@dataclass
class TaskVectors:
    """What `task_vectors` found."""

    base: str
    models: list[str]
    tensors: list[TaskTensor]

    def layers(self) -> list[tuple[str, dict[str, Any]]]:
        """The same summed up by layer: (layer's number or "outside", row), in order."""
        groups: dict[str, list[TaskTensor]] = {}
        for tensor in self.tensors:
            key = "outside" if tensor.layer is None else str(tensor.layer)
            groups.setdefault(key, []).append(tensor)
        order = sorted(groups, key=lambda key: -1 if key == "outside" else int(key))
        return [(key, self._sum(groups[key])) for key in order]

    def _sum(self, tensors: Sequence[TaskTensor]) -> dict[str, Any]:
        count = len(self.models)
        elements = sum(t.elements for t in tensors)
        base = sum(t.base_norm**2 for t in tensors)
        squares = [sum(t.norms[i] ** 2 for t in tensors) for i in range(count)]
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        cosines = []
        for k, (i, j) in enumerate(pairs):
            product = sum(t.cosines[k] * t.norms[i] * t.norms[j] for t in tensors)
            norms = math.sqrt(squares[i] * squares[j])
            cosines.append(product / norms if norms else 0.0)
        shared = sum(t.shared for t in tensors)
        return {
            "elements": elements,
            "relative": [math.sqrt(s / base) if base else 0.0 for s in squares],
            "changed": [
                sum(t.changed[i] for t in tensors) / max(elements, 1) for i in range(count)
            ],
            "cosines": cosines,
            "conflicts": sum(t.conflicts for t in tensors) / shared if shared else 0.0,
        }

    def text(self) -> str:
        """For people: a line for each layer."""
        lines = [f"base: {self.base}", *(f"{i + 1}: {name}" for i, name in enumerate(self.models))]
        lines.append("layer      |δ|/|base|, share changed, of each; cosines of pairs; conflicts")
        for layer, row in [*self.layers(), ("all", self._sum(self.tensors))]:
            each = "  ".join(
                f"{r:.2e} {c:6.1%}" for r, c in zip(row["relative"], row["changed"], strict=True)
            )
            cosines = " ".join(f"{c:+.3f}" for c in row["cosines"])
            lines.append(f"{layer:>7}  {each}  {cosines}  {row['conflicts']:.1%}")
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "base": self.base,
            "models": self.models,
            "layers": dict(self.layers()),
            "tensors": [vars(tensor) for tensor in self.tensors],
        }


def task_vectors(
    base: str | os.PathLike[str],
    models: Sequence[str | os.PathLike[str]],
    progress: Report | None = None,
    threads: int = 0,
) -> TaskVectors:
    """Compare fine-tunes with their base and with one another, one pass over the files, in float64.

    Args:
        base, models: folders, .safetensors files or hub ids.
        progress: called with (bytes of the base done, all); stops the work by returning False.
        threads: 0 for one per processor.

    Returns:
        A row for every tensor that all have in one shape and a floating-point type.

    Raises:
        ValueError: no models. FileNotFoundError, CheckpointError: as Checkpoint does.
    """
    if not models:
        raise ValueError("models is empty, expected at least one")
    paths: list[Path] = [resolve(model) for model in models]
    rows = _files.task_statistics(resolve(base), paths, progress, threads)
    return TaskVectors(str(base), [str(model) for model in models], [TaskTensor(*r) for r in rows])
