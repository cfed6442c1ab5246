"""Progress of long calls on the terminal: count, rate, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """A line on stderr that follows a count; silent for the first second and where nobody looks.

    One within another is silent too.

    Args:
        label: what is going on.
        total: the count at the end.
        unit: what is counted.
        show: False keeps silent always.
    """

    WAIT, EVERY = 1.0, 0.2  # seconds
    _open = 0  # how many are at work

    def __init__(self, label: str, total: int, unit: str = "", show: bool = True) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._shown = False
        self._show = show and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Progress:
        self._show = self._show and Progress._open == 0
        Progress._open += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Progress._open -= 1
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def step(self, count: int = 1) -> None:
        """Count on, and redraw where it is time to."""
        self.done += count
        now = time.monotonic()
        if not self._show or now - self._start < self.WAIT or now - self._last < self.EVERY:
            return
        self._last, self._shown = now, True
        sys.stderr.write("\r\x1b[K" + self.text(now - self._start))
        sys.stderr.flush()

    def text(self, seconds: float) -> str:
        """The line after so many seconds."""
        rate = self.done / max(seconds, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        of = f"{self.done:,} of {self.total:,} {self.unit}".rstrip()
        return f"{self.label}: {of}, {rate:,.3g}/s, {_span(left)} left"


def _span(seconds: float) -> str:
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
