"""Reasoning and answer told apart by the marks a model's own chat template makes.

Two kinds are known. A pair of tags around the reasoning, such as <think> ... </think>, is found
among the tokenizer's added tokens and in the template by its form, not by the model's name.
Channels are <|channel|>NAME<|message|>...<|end|>, of which "final" is the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from lenswright.generating.text_stream import held_back

if TYPE_CHECKING:
    from lenswright.tokens import Tokenizer

_TAG = re.compile(
    r"(?P<left><\|?|\[|◁)(?P<end>/|END_|end_of_)?(?P<start>START_|BEGIN_|begin_of_)?"
    r"(?P<name>(?i:[a-z_:]*(?:think|thought|reason)[a-z]*))(?P<right>\|?>|\]|▷)"
)
_OPPOSITE = {"START_": "END_", "BEGIN_": "END_", "begin_of_": "end_of_"}
_CHANNEL, _MESSAGE = "<|channel|>", "<|message|>"
_CHANNEL_ENDS = ("<|start|>", "<|end|>", "<|return|>", "<|call|>")
_FINAL = "final"


class Reasoned(NamedTuple):
    """What a model said: its reasoning (None: no mark of any was made), and its answer."""

    reasoning: str | None
    answer: str


class Piece(NamedTuple):
    """A stretch of a text that is one or the other."""

    kind: str  # "reasoning" or "answer"
    text: str


@dataclass(frozen=True)
class Marks:
    """How a model marks its reasoning: by the pair `open` and `close`, or by channels."""

    open: str
    close: str
    begins_open: bool = False  # the template itself opens the reasoning, before the model speaks

    @property
    def channels(self) -> bool:
        """Whether reasoning and answer are channels."""
        return self.open == _CHANNEL

    @property
    def all(self) -> tuple[str, ...]:
        """Every text that ends one part or begins another."""
        if self.channels:
            return (_CHANNEL, _MESSAGE, *_CHANNEL_ENDS)
        return (self.open, self.close)


def marks_of(tokenizer: Tokenizer) -> Marks | None:
    """The marks of a tokenizer's chat template, or None where it knows no reasoning."""
    added, template = tokenizer.added_tokens(), tokenizer.chat_template or ""
    if {_CHANNEL, _MESSAGE} <= added.keys() or (_CHANNEL in template and _MESSAGE in template):
        return Marks(_CHANNEL, _MESSAGE)
    pairs = [_pair(found) for text in (*added, template) for found in _TAG.finditer(text)]
    if not pairs:
        return None
    # Of several the pair whose two tags occur; tokens come before the template.
    known = [pair for pair in pairs if all(tag in added or tag in template for tag in pair)]
    opening, closing = (known or pairs)[0]
    return Marks(opening, closing, _begins_open(tokenizer, opening))


def _pair(tag: re.Match[str]) -> tuple[str, str]:
    # Both tags of the pair that one tag belongs to.
    left, name, right = tag["left"], tag["name"], tag["right"]
    if tag["start"]:
        return tag[0], f"{left}{_OPPOSITE[tag['start']]}{name}{right}"
    if tag["end"] and tag["end"] != "/":
        start = next(start for start, end in _OPPOSITE.items() if end == tag["end"])
        return f"{left}{start}{name}{right}", tag[0]
    return f"{left}{name}{right}", f"{left}/{name}{right}"


def _begins_open(tokenizer: Tokenizer, opening: str) -> bool:
    if tokenizer.chat_template is None:
        return False
    try:
        prompt = tokenizer.render_chat([{"role": "user", "content": "?"}])
    except ValueError:  # a template that wants other messages; then the text itself must say
        return False
    return prompt.rstrip().endswith(opening)


class ReasoningStream:
    """Text in, pieces of reasoning and answer out, the marks taken away.

    Args:
        marks: of the model, see `marks_of`; None takes everything for the answer.
    """

    def __init__(self, marks: Marks | None) -> None:
        self.marks = marks
        self.kind = "reasoning" if marks is not None and marks.begins_open else "answer"
        self.met = self.kind == "reasoning"  # whether anything marks the text as reasoned
        self._pending = ""
        self._header = ""

    def push(self, text: str) -> list[Piece]:
        """Pieces that have become certain with more text."""
        return self._pieces(text, False)

    def finish(self) -> list[Piece]:
        """The rest, when no more text comes."""
        return self._pieces("", True)

    def _pieces(self, text: str, last: bool) -> list[Piece]:
        self._pending += text
        marks = () if self.marks is None else self.marks.all
        pieces: list[Piece] = []
        while found := _first(self._pending, marks):
            place, mark = found
            self._put(pieces, self._pending[:place])
            self._pending = self._pending[place + len(mark) :]
            self._turn(mark)
        count = len(self._pending) - (0 if last else held_back(self._pending, marks))
        self._put(pieces, self._pending[:count])
        self._pending = self._pending[count:]
        return pieces

    def _put(self, pieces: list[Piece], text: str) -> None:
        if self.kind == "header":
            self._header += text
        elif text:
            pieces.append(Piece(self.kind, text))

    def _turn(self, mark: str) -> None:
        assert self.marks is not None
        if not self.marks.channels:
            self.met = True
            self.kind = "reasoning" if mark == self.marks.open else "answer"
        elif mark == _MESSAGE:
            final = self._header.split()[:1] == [_FINAL]
            self.met = self.met or not final
            self.kind = "answer" if final else "reasoning"
        else:
            self.kind, self._header = "header", ""


def _first(text: str, marks: tuple[str, ...]) -> tuple[int, str] | None:
    found = [(place, mark) for mark in marks if (place := text.find(mark)) >= 0]
    return min(found) if found else None


def split_reasoning(text: str, tokenizer: Tokenizer) -> Reasoned:
    """Tell reasoning and answer of a model's text apart.

    Args:
        text: what the model said, its marks included (decode without skipping special tokens, or
            take `Generated.reasoned`). A text that was cut off while reasoning has no answer.
        tokenizer: `model.tokenizer`, whose chat template says how reasoning is marked.

    Returns:
        Both without the marks and without blanks around them.
    """
    marks = _marks(tokenizer)
    stream = ReasoningStream(marks)
    if marks is not None and not marks.channels:
        close, opening = text.find(marks.close), text.find(marks.open)
        if close >= 0 and not 0 <= opening < close:
            stream.kind = "reasoning"  # opened before the text began
    pieces = stream.push(text) + stream.finish()
    parts = {
        kind: "".join(piece.text for piece in pieces if piece.kind == kind).strip()
        for kind in ("reasoning", "answer")
    }
    return Reasoned(parts["reasoning"] if stream.met else None, parts["answer"])


def mark_ids(tokenizer: Tokenizer) -> set[int]:
    """Ids of the marks that are tokens of their own."""
    marks, added = _marks(tokenizer), tokenizer.added_tokens()
    return set() if marks is None else {added[mark] for mark in marks.all if mark in added}


@lru_cache(maxsize=16)
def _marks(tokenizer: Tokenizer) -> Marks | None:
    return marks_of(tokenizer)
