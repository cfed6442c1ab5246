"""Edits in checkpoints on disk: committed, taken back bit for bit, checked against their record."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenswright import _core
from lenswright.checkpoints.hub import resolve
from lenswright.progress import Progress

Report = Callable[[int, int], object]


@dataclass(frozen=True)
class Committed:
    """A folder that a commit wrote.

    changed: by stored name of every tensor that was edited, SHA-256 of its bytes before and after
    (equal where rounding swallowed the change). added: the unembedding that
    embeddings got which were tied, or None. left_behind: weight files of the input folder that its
    checkpoint does not use. dequantised: how the checkpoint was quantised and how many tensors,
    edited or not, were therefore written in bfloat16; None where nothing was. journal: the file
    that leads back to the original, and its bytes; None where none was asked for.
    """

    folder: Path
    changed: dict[str, tuple[str, str]]
    added: str | None
    left_behind: list[str]
    dequantised: tuple[str, int] | None = None
    journal: tuple[str, int] | None = None

    @property
    def swallowed(self) -> list[str]:
        """Tensors that the edit was to change, and whose every number was rounded back."""
        return [name for name, (before, after) in self.changed.items() if before == after]

    def __str__(self) -> str:
        lines = [f"{self.folder}: {len(self.changed)} tensors edited"]
        if self.swallowed:
            lines.append(
                f"{len(self.swallowed)} of them are as before: the change is smaller than the "
                f"rounding of their type ({', '.join(self.swallowed[:3])}"
                + (" ...)" if len(self.swallowed) > 3 else ")")
            )
        if self.added is not None:
            lines.append(f"added {self.added}: the embeddings were tied")
        if self.dequantised is not None:
            form, count = self.dequantised
            lines.append(f"{count} tensors written in BF16 that were {form}")
        if self.journal is not None:
            name, size = self.journal
            lines.append(f"{name}: {size:,} bytes lead back to the original (lenswright revert)")
        if self.left_behind:
            lines.append(f"left behind: {', '.join(self.left_behind)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Reverted:
    """A folder that a revert wrote.

    restored: tensors that the journal brought back; carried: tensors that were never touched;
    steps_left: earlier commits that the folder still carries.
    """

    folder: Path
    restored: int
    carried: int
    steps_left: int

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {self.restored} tensors brought back, {self.carried} carried over; "
            "every hash is that of before the commit"
        ]
        if self.steps_left:
            lines.append(f"it still carries {self.steps_left} earlier commits: revert it again")
        return "\n".join(lines)


@dataclass(frozen=True)
class Recheck:
    """What a look at a committed folder found.

    wrong: what is the matter with each tensor that is not as it should be. edited: how many tensors
    the record is about; derived: of these, how many were made again from the base's; untouched: how
    many others were compared with the base's; steps: commits.
    """

    folder: Path
    base: Path | None
    edited: int
    derived: int
    untouched: int
    steps: int
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "folder": str(self.folder), "base": self.base and str(self.base), "ok": self.ok,
            "edited": self.edited, "derived": self.derived, "untouched": self.untouched,
            "steps": self.steps, "wrong": self.wrong,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{name}: {what}" for name, what in self.wrong.items()]
        how = f"{self.edited} edited tensors have the hashes that {_commits(self.steps)} wrote"
        if self.base is None:
            how += "; without --base nothing is said of the others"
        else:
            how = (
                f"{self.derived} edited tensors made again from {self.base} and "
                f"{_commits(self.steps)}, {self.untouched} others compared with it"
            )
        verdict = "all is as recorded" if self.ok else f"{len(self.wrong)} TENSORS ARE NOT"
        return "\n".join([*lines, f"{self.folder}: {verdict} ({how})"])


def _commits(steps: int) -> str:
    return f"{steps} commit" + ("s" if steps != 1 else "")


def followed(
    label: str, progress: bool | Report, call: Callable[[Report], dict[str, Any]]
) -> dict[str, Any]:
    """Run a native call that reports (bytes done, bytes in all), with a line on the terminal."""
    if callable(progress):
        return call(progress)
    with Progress(label, 0, "MB", progress) as bar:

        def report(count: int, total: int) -> None:
            bar.total = total // 1_000_000
            bar.step(count // 1_000_000 - bar.done)

        return call(report)


def places(
    source: str | os.PathLike[str], target: str | os.PathLike[str] | None, in_place: bool
) -> tuple[Path, Path]:
    """The folder that is read and the one that is written, which is the same in place."""
    if in_place and target is not None:
        raise ValueError(f"target is {str(target)!r}, expected None beside in_place=True")
    if not in_place and target is None:
        raise ValueError("target is None, expected a folder to write, or in_place=True")
    folder = Path(source) if in_place else resolve(source)
    if in_place and not folder.is_dir():
        raise FileNotFoundError(f"source {folder} is no folder; expected one to edit in place")
    return folder, folder if target is None else Path(target)


def commit(
    edit: _core.Edit,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None,
    progress: bool | Report,
    journal: bool,
    in_place: bool,
    texts: tuple[str, str],
) -> Committed:
    """As `Edit.commit` says; `texts`: a section for the model card, JSON of what was measured."""
    folder, where = places(source, target, in_place)
    done = followed(
        "commit",
        progress,
        lambda report: _core.commit_edit(
            edit, folder, where, report, journal or in_place, in_place, *texts
        ),
    )
    return Committed(where, **done)


def revert(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    progress: bool | Report = True,
    *,
    in_place: bool = False,
) -> Reverted:
    """Write the checkpoint that the last commit to a folder was made of, bit for bit.

    From the edited weights, lenswright.json and the journal, which `Edit.commit(..., journal=True)`
    keeps. The solved edit W = S⁻¹ (W' - A Bᵀ) C⁻¹ + U (VᵀW) with VᵀW from the journal foretells
    almost every number; corrections in units in the last place, in arithmetic coding, are the rest.
    Streams; every tensor that was changed has its SHA-256 of before, or nothing is written.

    Args:
        folder: edited; it is not changed, unless `in_place`.
        target: folder to write; must not exist.
        progress: show it, or a function (bytes done, bytes in all) that returns False to stop.
        in_place: the original takes the folder's place, in one step at the end; until then it lies
            beside it and needs its room. Killed at any moment, the folder is the edited one or the
            original.

    Raises:
        FileExistsError: the target exists.
        FileNotFoundError: no such folder, or nowhere to put the target.
        ValueError: the folder was not committed, or without a journal; in place, it holds files
            that are not its checkpoint's own.
        CheckpointError: a tensor, named, is not what was committed; the journal is damaged.
    """
    source, where = places(Path(folder), target, in_place)
    output = None if in_place else where
    done = followed("revert", progress, lambda report: _core.revert_commit(source, output, report))
    return Reverted(where, **done)


def verify(
    folder: str | os.PathLike[str],
    base: str | os.PathLike[str] | None = None,
    progress: bool | Report = True,
) -> Recheck:
    """Check that a committed folder's weights are what its lenswright.json says.

    Edited tensors must have the SHA-256 that was written. With the base each is also made again
    from the base's tensor and the recorded factors, step by step, and every other tensor must be
    the base's. One tensor at a time is held in memory.

    Args:
        folder: that commits wrote.
        base: the checkpoint that the first of them was made of: a folder, or a hub id.
        progress: show it, or a function (bytes done, bytes in all) that returns False to stop.

    Raises:
        FileNotFoundError: no such folder or base.
        ValueError: the folder was not committed, or by a version that kept no factors; another base
            than the edit was committed to.
        CheckpointError: the files are not what they claim to be.
    """
    source, origin = Path(folder), None if base is None else resolve(base)
    found = followed("verify", progress, lambda report: _core.recheck(source, origin, report))
    return Recheck(source, origin, **found)
