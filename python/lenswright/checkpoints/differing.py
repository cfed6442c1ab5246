"""What differs between two checkpoints: tensors, config.json, and the files beside them."""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass
from typing import Any

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint, Report, printable
from lenswright.jsonable import finite_or_none


@dataclass
class Difference:
    """What `lenswright.checkpoints.differing.diff` found."""

    a: str
    b: str
    tensors: list[_files.TensorChange]
    config: list[tuple[str, str, str]]  # key, value in a, value in b; "" where there is none
    files: list[tuple[str, str]]  # name; changed, only_a or only_b

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.config or self.files or any(t.kind != "same" for t in self.tensors))

    def counts(self) -> dict[str, int]:
        """Number of tensors of each kind: same, changed, dtype, shape, only_a, only_b."""
        kinds = ("same", "changed", "dtype", "shape", "only_a", "only_b")
        return {kind: sum(t.kind == kind for t in self.tensors) for kind in kinds}

    def to_json(self) -> dict[str, Any]:
        """The same as plain data; numbers that are not finite are None."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "counts": self.counts(),
            "tensors": [_row(t) for t in self.tensors if t.kind != "same"],
            "config": [{"key": k, "a": a or None, "b": b or None} for k, a, b in self.config],
            "files": [{"name": name, "kind": kind} for name, kind in self.files],
        }

    def text(self, everything: bool = False) -> str:
        """For people; with `everything` also the tensors that are the same."""
        lines = [f"a: {self.a}", f"b: {self.b}"]
        shown = [t for t in self.tensors if everything or t.kind != "same"]
        if shown:
            width = max(len(printable(t.name)) for t in shown)
            lines += [f"  {printable(t.name):<{width}}  {_what(t)}" for t in shown]
        for key, a, b in self.config:
            lines.append(f"  config.json {key}: {a or 'absent'} -> {b or 'absent'}")
        lines += [f"  {name}: {_WORDS[kind]}" for name, kind in self.files]
        counts = ", ".join(f"{n:,} {_WORDS[kind]}" for kind, n in self.counts().items() if n)
        keys = len(self.config)
        config = f"{keys} keys of config.json differ" if keys else "same config.json"
        lines.append(f"tensors: {counts or 'none'}; {config}")
        if self.same:
            lines.append("no difference")
        return "\n".join(lines)

    __str__ = text


def diff(
    a: str | os.PathLike[str] | Checkpoint,
    b: str | os.PathLike[str] | Checkpoint,
    progress: Report | None = None,
    threads: int = 0,
) -> Difference:
    """Compare two checkpoints; nothing of either is changed.

    Args:
        a, b: folders, .safetensors files, hub ids or open checkpoints.
        progress: called with (bytes done, bytes in all); stops the work by returning False.
        threads: 0 for one per processor.

    Raises:
        FileNotFoundError, CheckpointError, ValueError: as Checkpoint does.
    """
    a, b = (x if isinstance(x, Checkpoint) else Checkpoint(x) for x in (a, b))
    configs = [c.native.config_text() if c.native.has_config else "{}" for c in (a, b)]
    return Difference(
        str(a.path),
        str(b.path),
        _files.compare(a.native, b.native, progress, threads),
        _files.compare_json(*configs),
        _other_files(a, b),
    )


def _other_files(a: Checkpoint, b: Checkpoint) -> list[tuple[str, str]]:
    if a.path.is_file() or b.path.is_file():  # one file was meant, not what lies beside it
        return []
    left, right = set(a.other_files), set(b.other_files)
    out = [(name, "only_a") for name in left - right] + [(name, "only_b") for name in right - left]
    for name in left & right:
        if not filecmp.cmp(a.folder / name, b.folder / name, shallow=False):
            out.append((name, "changed"))
    return sorted(out)


_WORDS = {
    "same": "the same", "changed": "changed", "dtype": "of another type",
    "shape": "of another shape", "only_a": "only in a", "only_b": "only in b",
}  # fmt: skip


def _what(change: _files.TensorChange) -> str:
    text = _WORDS[change.kind]
    if change.kind in ("dtype", "shape"):
        text += f": {_kind(change.a)} -> {_kind(change.b)}"
    elif change.kind in ("only_a", "only_b"):
        text += f": {_kind(change.a or change.b)}"
    if change.distance is not None:
        d = change.distance
        text += (
            f"  relative {d.relative:.3g}, max {d.max_abs:.3g}, cosine {d.cosine:.6f}, "
            f"{d.different:,} of {d.elements:,} elements"
        )
        if d.not_a_number:
            text += f", {d.not_a_number:,} NaN"
    return text


def _kind(info: _files.TensorInfo | None) -> str:
    return f"{info.dtype} {list(info.shape)}" if info is not None else "nothing"


def _row(change: _files.TensorChange) -> dict[str, Any]:
    row: dict[str, Any] = {"name": change.name, "kind": change.kind}
    for side, info in (("a", change.a), ("b", change.b)):
        row[side] = {"dtype": info.dtype, "shape": list(info.shape)} if info is not None else None
    if change.distance is not None:
        d = change.distance
        row |= {
            "relative": finite_or_none(d.relative), "max_abs": finite_or_none(d.max_abs),
            "cosine": finite_or_none(d.cosine), "different": d.different, "elements": d.elements,
            "not_a_number": d.not_a_number,
        }  # fmt: skip
    return row
