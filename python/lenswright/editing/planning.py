"""What committing an edit would do and take, told without doing it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenswright import _core
from lenswright.editing.committing import places


@dataclass(frozen=True)
class Planned:
    """What a commit would do.

    writers: that the edit changes; tensors: stored ones that are computed anew; edited_bytes,
    read_bytes, written_bytes; free_bytes: on the disk that is written to; memory_bytes: private
    memory at most; seconds: about, with disk and processor as they were just now; unties: whether
    tied embeddings would be untied; dequantised: tensors that would no longer be quantised.
    """

    source: Path
    target: Path
    writers: int
    tensors: int
    edited_bytes: int
    read_bytes: int
    written_bytes: int
    free_bytes: int
    memory_bytes: int
    seconds: float
    unties: bool
    dequantised: int

    @property
    def fits(self) -> bool:
        """Whether the disk has room for what is written."""
        return self.written_bytes <= self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self) | {
            "source": str(self.source), "target": str(self.target), "fits": self.fits,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"writers  {self.writers}, in {self.tensors} stored tensors of "
            f"{_size(self.edited_bytes)}",
            f"bytes    {_size(self.read_bytes)} read, {_size(self.written_bytes)} written to "
            f"{self.target}, where {_size(self.free_bytes)} are free",
            f"seconds  about {self.seconds:.3g}",
            f"memory   {_size(self.memory_bytes)} of private memory at most",
        ]
        if self.unties:
            lines.append("tied     embeddings would be untied: the unembedding is written as well")
        if self.dequantised:
            lines.append(f"types    {self.dequantised} quantised tensors would be written in BF16")
        if not self.fits:
            lines.append("room     THE DISK HAS TOO LITTLE ROOM")
        return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.2f} MB"


def planned(
    edit: _core.Edit,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None,
    journal: bool,
    in_place: bool,
) -> Planned:
    """As `Edit.plan` says."""
    folder, where = places(source, target, in_place)
    found = _core.estimate_commit(edit, folder, where, journal or in_place, in_place)
    return Planned(folder, where, **found)
