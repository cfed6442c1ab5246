"""From which layer of which candidate each layer of a checkpoint came: slices, renumbered or not.

Tensors are compared by the products of a few pieces of each, so that what is held does not grow
with the models: pieces begin at places that the tensor's name and shape give, the same in every
checkpoint. A layer whose tensors have the same bytes in a candidate is a copy of it; where no
candidate has them, the nearest layer is told with how near it is.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.tasks import layer_of, layer_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sketch = Mapping[str, NDArray[np.float64]]

PIECES, LENGTH = 8, 256  # of a tensor that a sketch looks at, and the numbers of each
BLOCK = 1 << 24  # bytes hashed at a time
FLOATS = ("F64", "F32", "F16", "BF16")
NEAR = 0.5  # a cosine from which on a layer is said to be like another


@dataclass
class Origin:
    """Where one layer came from.

    candidate, layer: None where nothing is like it. exact: every tensor has the same bytes. cosine:
    of the numbers looked at, less what all layers have in common: 1 for a copy. distance: their
    |difference| / |numbers|.
    """

    candidate: str | None
    layer: int | None
    exact: bool
    cosine: float
    distance: float

    def text(self) -> str:
        """For people."""
        if self.candidate is None:
            return f"like no layer of a candidate (the nearest has cosine {self.cosine:+.3f})"
        if self.exact:
            return f"layer {self.layer} of {self.candidate}, byte for byte"
        return (
            f"nearest to layer {self.layer} of {self.candidate}: cosine {self.cosine:.4f}, "
            f"{self.distance:.2%} apart"
        )


@dataclass
class Layer:
    """One layer of a checkpoint: its tensors by the rest of their names."""

    checkpoint: Checkpoint
    tensors: dict[str, str]

    def alike(self, other: Layer) -> bool:
        """Whether both have the same tensors in the same shapes."""
        return self.tensors.keys() == other.tensors.keys() and all(
            self.checkpoint.info(name).shape == other.checkpoint.info(other.tensors[rest]).shape
            for rest, name in self.tensors.items()
        )

    def sketch(self) -> Sketch:
        """A few pieces of each tensor of floating point, by the rest of its name."""
        import numpy as np

        out = {}
        for rest, name in self.tensors.items():
            if self.checkpoint.info(name).dtype not in FLOATS:
                continue
            tensor = self.checkpoint[name].flatten()
            starts = _places(rest, tensor.numel())
            pieces = [tensor[at : at + LENGTH].double().numpy() for at in starts]
            out[rest] = np.concatenate(pieces) if pieces else np.zeros(0)
        return out

    def digest(self) -> bytes:
        """Of all its bytes, read a block at a time."""
        import torch

        found = hashlib.blake2b(digest_size=16)
        for rest in sorted(self.tensors):
            info = self.checkpoint.info(self.tensors[rest])
            found.update(f"{rest} {info.dtype} {list(info.shape)} ".encode())
            raw = self.checkpoint[info.name].flatten().view(torch.uint8)
            for at in range(0, raw.numel(), BLOCK):
                found.update(raw[at : at + BLOCK].numpy().data)
        return found.digest()


def layers_of(checkpoint: Checkpoint) -> dict[int, Layer]:
    """The layers of a checkpoint by number."""
    out: dict[int, Layer] = {}
    for info in checkpoint.tensors():
        number, rest = layer_of(info.name), layer_parts(info.name)
        if number is not None:
            out.setdefault(number, Layer(checkpoint, {})).tensors[rest] = info.name
    return dict(sorted(out.items()))


def origins(
    candidates: Sequence[str | os.PathLike[str]],
    of: str | os.PathLike[str],
    step: Callable[[int], None] = lambda count: None,
) -> dict[int, Origin]:
    """Find where each layer of a checkpoint came from.

    Args:
        candidates: folders, files or hub ids.
        of: the checkpoint whose layers are looked for.
        step: is told of each layer that was found; may raise to stop.

    Returns:
        By layer of the checkpoint. Of several copies the candidate named first is given, and there
        the layer of the same number, else the lowest.

    Raises:
        FileNotFoundError, CheckpointError: as `Checkpoint` does.
    """
    others = [
        (os.fspath(name), number, layer, layer.sketch())
        for name in candidates
        for number, layer in layers_of(Checkpoint(name)).items()
    ]
    common = _common([sketch for *_, sketch in others])
    out = {}
    for number, layer in layers_of(Checkpoint(of)).items():
        out[number] = _origin(number, layer, others, common)
        step(1)
    return out


def _origin(
    number: int, layer: Layer, others: Sequence[tuple[str, int, Layer, Sketch]],
    common: Mapping[Any, Sketch],
) -> Origin:  # fmt: skip
    own, best = layer.sketch(), Origin(None, None, False, -1.0, float("inf"))
    digest: bytes | None = None
    rows = [row for row in others if layer.alike(row[2])]
    # the layer of the same number first, so that what was not moved is said not to be
    for name, at, other, sketch in _in_order(number, rows):
        cosine, distance = _near(own, sketch, common[_shape(sketch)])
        if distance == 0.0:
            digest = digest or layer.digest()
            if other.digest() == digest:
                return Origin(name, at, True, 1.0, 0.0)
        if cosine > best.cosine:
            best = Origin(name, at, False, cosine, distance)
    if best.cosine < NEAR:
        return Origin(None, None, False, best.cosine, best.distance)
    return best


def _in_order(
    number: int, rows: Sequence[tuple[str, int, Layer, Sketch]]
) -> Iterator[tuple[str, int, Layer, Sketch]]:
    names = list(dict.fromkeys(name for name, *_ in rows))
    yield from sorted(rows, key=lambda row: (names.index(row[0]), row[1] != number, row[1]))


def _places(rest: str, count: int) -> list[int]:
    """Where pieces begin: one in each eighth, at a place that the name gives."""
    if count <= PIECES * LENGTH:
        return list(range(0, count, LENGTH))
    part = count // PIECES
    return [
        part * i + zlib.crc32(f"{rest} {i}".encode()) % (part - LENGTH + 1) for i in range(PIECES)
    ]


def _shape(sketch: Sketch) -> tuple[tuple[str, int], ...]:
    return tuple((rest, len(values)) for rest, values in sorted(sketch.items()))


def _common(sketches: Sequence[Sketch]) -> dict[Any, Sketch]:
    """What layers of one shape have in common: the mean of each place, as of norms near 1."""
    import numpy as np

    groups: dict[Any, list[Sketch]] = {}
    for sketch in sketches:
        groups.setdefault(_shape(sketch), []).append(sketch)
    return {
        shape: {rest: np.full(len(many[0][rest]), np.mean([s[rest] for s in many]))
                for rest in many[0] if len(many[0][rest])}
        for shape, many in groups.items()
    }  # fmt: skip


def _near(own: Sketch, other: Sketch, common: Sketch) -> tuple[float, float]:
    """Cosine less what is common, every tensor counting alike; and the relative distance."""
    import numpy as np

    cosines, apart, whole = [], 0.0, 0.0
    for rest, mean in common.items():
        gap = own[rest] - other[rest]
        apart += float(gap @ gap)
        whole += float(other[rest] @ other[rest])
        a, b = own[rest] - mean, other[rest] - mean
        norms = float(np.sqrt((a @ a) * (b @ b)))
        if norms > 0:
            cosines.append(float(a @ b) / norms)
    cosine = float(np.mean(cosines)) if cosines else (1.0 if apart == 0 else 0.0)
    return cosine, (apart / whole) ** 0.5 if whole else (0.0 if apart == 0 else float("inf"))
