"""Where the stages of a merge lie until the last one is done."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stage_room(target: Path, made_of: str, resume: bool) -> Iterator[Path]:
    """A hidden folder beside `target`, gone afterwards.

    Args:
        target: the folder that is written in the end.
        made_of: all that decides what the stages are. The folder is named by it, so that a later
            process finds it again.
        resume: keep what a killed process left in it, and leave it when this one is interrupted.

    Raises:
        BlockingIOError: another process is at it.
    """
    name = f".{target.name}.stages-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
    room = target.absolute().parent / name
    room.mkdir(exist_ok=True)
    lock = os.open(room, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, f"another process is writing '{target}'") from None
        if not resume:
            for left in room.iterdir():
                shutil.rmtree(left)
        try:
            yield room
        except BaseException:
            if not resume:
                shutil.rmtree(room, ignore_errors=True)
            raise
        shutil.rmtree(room, ignore_errors=True)
    finally:
        os.close(lock)
