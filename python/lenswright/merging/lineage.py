"""Of which models a checkpoint was merged, and how much of each: least squares over its tensors.

With a first candidate A the checkpoint is X = A + Σ w_i (C_i - A), where A's own weight is what is
missing to 1. All averages are of this form, and so is task arithmetic whose base is a candidate.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lenswright.checkpoints.checkpoint import Checkpoint, Report
from lenswright.merging.moved_layers import Origin, layers_of, origins
from lenswright.merging.tasks import layer_of

if TYPE_CHECKING:
    import torch

    from lenswright.merging.least_squares import Array, Fit

PIECE = 1 << 18  # elements at a time
SIGNIFICANT = 5.0  # standard errors that a weight has to lie from 0
MOVED = 0.02  # unexplained from which on layers may have been moved
LEAST = 1e-3  # and by itself: rounding to 16 bits looks like less


@dataclass
class Share:
    """The weights of one part of the network, and what they leave unexplained."""

    weights: list[float]
    errors: list[float]
    residual: float  # |X - Σ w C| / |X - mean of the candidates|: 0 where all is explained
    elements: int


@dataclass
class Lineage:
    """What `lineage` found."""

    checkpoint: str
    candidates: list[str]
    whole: Share
    layers: dict[str, Share]
    positive: bool
    sample: int
    left_out: list[str] = field(default_factory=list)  # tensors that not all have alike
    notes: list[str] = field(default_factory=list)
    origins: dict[int, Origin] = field(default_factory=dict)  # where layers were moved or copied

    @property
    def members(self) -> list[str]:
        """Candidates whose weight lies five standard errors, and 0.001, from 0."""
        rows = zip(self.candidates, self.whole.weights, self.whole.errors, strict=True)
        return [name for name, w, e in rows if abs(w) > max(SIGNIFICANT * e, LEAST)]

    def text(self) -> str:
        """For people: a line a candidate, then a line a layer."""
        told = "every element" if self.sample == 1 else f"one piece in {self.sample}"
        lines = [f"{self.checkpoint}, {self.whole.elements:,} elements ({told})"]
        members = self.members
        for i, name in enumerate(self.candidates):
            weight, error = self.whole.weights[i], self.whole.errors[i]
            verdict = "in it" if name in members else "not in it"
            lines.append(f"{i + 1}: {weight:+.5f} ± {error:.1e}  {verdict:<9}  {name}")
        lines.append(f"left unexplained: {self.whole.residual:.2%} of the distance to their mean")
        lines.append("layer     weights; left unexplained")
        for layer, share in self.layers.items():
            each = " ".join(f"{w:+.4f}" for w in share.weights)
            lines.append(f"{layer:>7}   {each}  {share.residual:.2%}")
        if self.origins:
            lines.append("layer     where it came from")
            lines += [f"{layer:>7}   {one.text()}" for layer, one in self.origins.items()]
        lines += [f"note      {note}" for note in self.notes]
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "checkpoint": self.checkpoint, "candidates": self.candidates, "members": self.members,
            "whole": vars(self.whole), "layers": {k: vars(v) for k, v in self.layers.items()},
            "positive": self.positive, "sample": self.sample, "left_out": self.left_out,
            "notes": self.notes, "origins": {k: vars(v) for k, v in self.origins.items()},
        }  # fmt: skip


def lineage(
    candidates: Sequence[str | os.PathLike[str]],
    of: str | os.PathLike[str],
    *,
    positive: bool = False,
    sample: int = 1,
    progress: Report | None = None,
) -> Lineage:
    """Find of which candidates a checkpoint was merged, and with what weights.

    Sums of products are of float64, tensor by tensor, in memory that does not grow with the models.

    Args:
        candidates: folders, files or hub ids; the base that a merge was over should be one.
        of: the merged checkpoint.
        positive: no weight below 0 but the first candidate's, which is what is missing to 1.
        sample: look at one piece of 262,144 elements in so many of each tensor.
        progress: called with (elements done, all); stops the work by returning False.

    Returns:
        Weights that sum to 1, for the whole model and for each layer, with standard errors. Merges
        that keep only some elements (ties and its kin) leave a residual, and weights as much
        smaller as less was kept. Where the checkpoint has other layers than a candidate, or one of
        its layers has the bytes of a candidate's, `origins` says for each layer which one of which
        candidate it came from: exactly by their bytes, else the nearest. Layers that were moved
        have no weights then, as those are of tensors of one name.

    Raises:
        ValueError: fewer than two candidates, one twice, no tensor that all have.
        FileNotFoundError, CheckpointError: as `Checkpoint` does. Cancelled: `progress` said so.
    """
    if sample < 1:
        raise ValueError(f"sample is {sample}, expected 1 or more")
    names = [os.fspath(one) for one in candidates]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"candidates is {names}, expected two or more, each once")
    target, models = Checkpoint(of), [Checkpoint(name) for name in names]
    shared, left_out = _shared(target, models)
    if not shared:
        raise ValueError(f"no tensor of '{os.fspath(of)}' is in every candidate in its shape")
    sums: dict[str, _Sums] = {}
    done, total = 0, sum(target.info(name).numel for name in shared)
    for name in shared:
        layer = layer_of(name)
        part = sums.setdefault("outside" if layer is None else str(layer), _Sums(len(names)))
        for pieces in _pieces([*models, target], name, sample):
            part.add(pieces)
        done += target.info(name).numel
        if progress is not None and progress(done, total) is False:
            from lenswright import _files

            raise _files.Cancelled("lineage was cancelled")
    whole = _Sums(len(names))
    for part in sums.values():
        whole.join(part)
    order = sorted(sums, key=lambda key: -1 if key == "outside" else int(key))
    layers = {key: sums[key].share(positive) for key in order}
    notes = whole.notes()
    found = _moved(names, os.fspath(of), [target, *models], whole.share(positive))
    return Lineage(
        os.fspath(of),
        names,
        whole.share(positive),
        layers,
        positive,
        sample,
        left_out,
        notes,
        found,
    )


def _moved(
    names: Sequence[str], of: str, files: Sequence[Checkpoint], share: Share
) -> dict[int, Origin]:
    """Where each layer came from: of other depths, or where weights do not explain all of them."""
    other = len({tuple(layers_of(one)) for one in files}) > 1
    if not other and share.residual <= MOVED:
        return {}
    found = origins(names, of)
    return found if other or any(one.exact for one in found.values()) else {}


def _shared(target: Checkpoint, models: Sequence[Checkpoint]) -> tuple[list[str], list[str]]:
    shared: list[str] = []
    left_out: list[str] = []
    for info in target.tensors():
        alike = info.dtype in ("F64", "F32", "F16", "BF16") and all(
            info.name in model and model.info(info.name).shape == info.shape for model in models
        )
        (shared if alike else left_out).append(info.name)
    return shared, left_out


def _pieces(models: Sequence[Checkpoint], name: str, sample: int) -> Iterator[list[torch.Tensor]]:
    tensors = [model[name].flatten() for model in models]
    count = tensors[0].numel()
    # not the first of every tensor: a sample should see the end of small ones, too
    begin = (zlib.crc32(name.encode()) % sample) * PIECE if count > PIECE * sample else 0
    for at in range(begin, count, PIECE * sample):
        yield [tensor[at : at + PIECE].double() for tensor in tensors]


class _Sums:
    """Products of the candidates' differences to the first one, and of the target's."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.gram: Array = np.zeros((count, count))  # of C_1 - C_0, ..., X - C_0
        self.elements = 0

    def add(self, pieces: Sequence[torch.Tensor]) -> None:
        import torch

        first = pieces[0]
        rows = torch.stack([piece - first for piece in pieces[1:]])
        self.gram += (rows @ rows.T).numpy()
        self.elements += first.numel()

    def join(self, other: _Sums) -> None:
        self.gram += other.gram
        self.elements += other.elements

    def _fit(self, positive: bool) -> Fit:
        from lenswright.merging.least_squares import fit

        g = self.gram
        return fit(g[:-1, :-1], g[:-1, -1], float(g[-1, -1]), self.elements, positive)

    def share(self, positive: bool) -> Share:
        found = self._fit(positive)
        weights = found.weights.tolist()
        spread = found.covariance
        # the first weight is 1 - Σ w
        errors = [math.sqrt(max(0.0, spread.sum())), *(math.sqrt(x) for x in spread.diagonal())]
        return Share(
            [1.0 - sum(weights), *weights], errors, self._unexplained(found), self.elements
        )

    def _unexplained(self, found: Fit) -> float:
        import numpy as np

        g, count = self.gram, len(self.gram)
        mean = np.full(count - 1, 1 / count)
        away = float(g[-1, -1] - 2 * mean @ g[:-1, -1] + mean @ g[:-1, :-1] @ mean)
        return math.sqrt(found.residual / away) if away > 0 else 0.0

    def notes(self) -> list[str]:
        from lenswright.merging.least_squares import dependent

        if not dependent(self.gram[:-1, :-1]):
            return []
        return [
            "some candidates are the same, or averages of others: their weights cannot be told "
            "apart, and the smallest that fit are given"
        ]
