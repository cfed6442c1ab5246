"""What the knob scan reads: bundled texts in tokens, in steps that grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.tokens import Tokenizer

FOLDER = Path(__file__).resolve().parent / "texts"
STEPS = (64, 192, 256)
"""Tokens of the rows, one row a step; the last size repeats."""
TOY_ROWS = 64
KNOWN = 0.9
"""What part of a text's words a tokenizer must give back for the text to be read."""


@dataclass(frozen=True)
class Row:
    """Token ids, and from which of them on the model's predictions count."""

    ids: list[int]
    first: int = 1


@dataclass(frozen=True)
class Text:
    """A text in steps: each step is rows that are run together."""

    name: str
    steps: list[list[Row]]
    whole: list[int] = field(default_factory=list, repr=False)

    @property
    def tokens(self) -> int:
        """Predictions that count, over all steps."""
        return sum(len(row.ids) - row.first for step in self.steps for row in step)

    def long_row(self, longest: int) -> list[Row]:
        """One row of its beginning, for what short rows cannot show; none where it has no more."""
        shown = max((len(row.ids) for step in self.steps for row in step), default=0)
        row = self.whole[:longest]
        return [Row(row)] if len(row) > shown else []


def _gives_back(tokenizer: Tokenizer, text: str) -> bool:
    words = text.split()
    back = set(tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True).split())
    return sum(word in back for word in words) >= KNOWN * len(words)


def _rows(paragraphs: Sequence[list[int]], longest: int, most: int) -> Iterator[list[Row]]:
    """Paragraphs behind one another, cut to the sizes of the steps."""
    left = most
    row: list[int] = []
    sizes = iter(STEPS)
    size = min(next(sizes), longest, left)
    for ids in paragraphs:
        row = row + ids
        if len(row) < size:
            continue
        yield [Row(row[:size])]
        left -= size
        row = []
        size = min(next(sizes, STEPS[-1]), longest, left)
        if size < 2:
            return
    if len(row) > 1:
        yield [Row(row[:size])]


def _plain(model: Model, name: str, text: str, most: int) -> Text | None:
    paragraphs = [line for line in text.splitlines() if line.strip()]
    if not paragraphs or not _gives_back(model.tokenizer, paragraphs[0]):
        return None
    ids = [model.tokenizer.encode(line) for line in paragraphs]
    # A misread table of positions may be shorter.
    longest = max(2, model.cfg.n_ctx - 2)
    whole = [i for paragraph in ids for i in paragraph][:longest]
    return Text(name, list(_rows(ids, longest, most)), whole)


def _toy(model: Model) -> Text | None:
    """Answers in the language of the demonstration model, for a model that speaks it."""
    from lenswright.demo import language, tokenizer

    examples = [
        e for part in ("pseudo", "benign", "talk", "list")
        for e in language.prompts("fit", part, count=TOY_ROWS)
    ]  # fmt: skip
    if not _gives_back(model.tokenizer, examples[0]["answer"]):
        return None
    steps: list[list[Row]] = []
    for at in range(0, len(examples), TOY_ROWS):
        rows = []
        for example in examples[at : at + TOY_ROWS]:
            given = model.tokenizer.encode_verbatim(tokenizer.chat_text(example["prompt"]))
            answer = model.tokenizer.encode_verbatim(example["answer"])
            rows.append(Row(given + answer, len(given)))
        steps.append(rows)
    return Text("toy language", steps)


def texts_for(model: Model, most: int, text: str | None = None) -> list[Text]:
    """The texts this model's tokenizer can write, at most so many tokens of each.

    text: one to read instead of the bundled ones, paragraph by line. Empty where the checkpoint has
    no tokenizer, or none that knows a text's words.
    """
    try:
        model.tokenizer  # noqa: B018 - read on first use
    except FileNotFoundError:
        return []
    if text is not None:
        found = [_plain(model, "given text", text, most)]
    else:
        found = [
            _plain(model, name, (FOLDER / f"{name}.txt").read_text(encoding="utf-8"), most)
            for name in ("prose", "story")
        ]
        if not any(found):
            found = [_toy(model)]
    return [one for one in found if one is not None]
