"""The text of one row while its tokens come in: no half characters, nothing behind a stop text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenswright.tokens import Tokenizer

_HALF = "�"  # what a decoder puts for bytes that are no whole character yet


def held_back(text: str, markers: Collection[str]) -> int:
    """How many characters at the end of a text may be the beginning of a marker."""
    longest = max(map(len, markers), default=1) - 1
    for count in range(min(longest, len(text)), 0, -1):
        if any(marker.startswith(text[-count:]) for marker in markers):
            return count
    return 0


class TextStream:
    """Token ids in, text out as soon as it is certain. All of it together is the decoded row.

    Args:
        tokenizer: whose ids they are.
        stops: the text ends before the first of these.
        keep: ids of special tokens that shall show in the text.
    """

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str] = (), keep: Collection[int] = ()
    ) -> None:
        self.text = ""  # what has been given out
        self.stopped = False  # whether a stop text was met
        self._tokenizer, self._stops, self._keep = tokenizer, list(stops), keep
        self._ids: list[int] = []
        # A decoder may join a token to the one before it: each is decoded behind the last ones.
        self._start = self._read = 0
        self._pending = ""

    def push(self, token_id: int) -> str:
        """Text that has become certain with one more token."""
        self._ids.append(token_id)
        before, now = self._decoded(self._read), self._decoded(len(self._ids))
        if now.endswith(_HALF):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return self._given(now[len(before) :], False)

    def finish(self) -> str:
        """The rest, when no more tokens come."""
        before, now = self._decoded(self._read), self._decoded(len(self._ids))
        self._read = len(self._ids)
        return self._given(now[len(before) :], True)

    def _decoded(self, end: int) -> str:
        return self._tokenizer.decode(self._ids[self._start : end], True, self._keep)

    def _given(self, more: str, last: bool) -> str:
        if self.stopped:
            return ""
        self._pending += more
        places = [place for stop in self._stops if (place := self._pending.find(stop)) >= 0]
        self.stopped = bool(places)
        held = 0 if last else held_back(self._pending, self._stops)
        count = min(places) if places else len(self._pending) - held
        out, self._pending = self._pending[:count], self._pending[count:]
        self.text += out
        return out
