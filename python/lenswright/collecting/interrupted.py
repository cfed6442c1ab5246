"""Collecting that can be interrupted: what is there so far, in a file, between two batches."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from lenswright.collecting.accumulators import Parts, parts_of, states_of

KEY = "lenswright.collecting"


class Resumable:
    """Writes unfinished accumulators to a file now and then, and at Ctrl-C, and reads them back.

    Within it the first Ctrl-C waits for the batch at hand, so that no prompt counts half or twice;
    a second one stops at once, and the file is that of the last write.

    Args:
        path: of the file; None neither writes nor waits.
        facts: what is collected, from what: a file of other facts is refused.
        every: seconds between two writes.
    """

    def __init__(self, path: str | Path | None, facts: dict[str, Any], every: float) -> None:
        if every < 0:
            raise ValueError(f"every is {every}, expected at least 0 seconds")
        self.path = None if path is None else Path(path)
        self.facts: dict[str, Any] = json.loads(json.dumps(facts))
        self.every = every
        self._asked = False
        self._before: Any = None
        self._last = time.monotonic()

    def resume(self, parts: Parts) -> tuple[Parts, int]:
        """The accumulators to go on with, and how many prompts they have seen.

        Raises:
            ValueError: the file is that of another collection.
        """
        if self.path is None or not self.path.exists():
            return parts, 0
        from lenswright.checkpoints.tensor_file import load

        tensors, stored = load(self.path, KEY)
        for name, value in self.facts.items():
            if stored["facts"].get(name) != value:
                raise ValueError(
                    f"checkpoint {self.path} is that of another collection: its {name} differ; "
                    "expected one of this call, or a path where there is none"
                )
        return parts_of(tensors, list(parts), list(self.facts["points"])), int(stored["done"])

    def __enter__(self) -> Resumable:
        if self.path is not None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def batch_done(self, parts: Parts, done: int) -> None:
        """After every batch: write where it is time to.

        Raises:
            KeyboardInterrupt: it was asked for; the file is written.
        """
        if self.path is None:
            return
        if self._asked or time.monotonic() - self._last >= self.every:
            self._write(self.path, parts, done)
        if self._asked:
            raise KeyboardInterrupt(f"{done} prompts are in {self.path}; the same call goes on")

    def finish(self) -> None:
        """Everything is collected: the file goes."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _write(self, path: Path, parts: Parts, done: int) -> None:
        from lenswright.checkpoints.tensor_file import save

        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        save(fresh, states_of(parts), {KEY: json.dumps({"done": done, "facts": self.facts})})
        fresh.replace(path)
        self._last = time.monotonic()
