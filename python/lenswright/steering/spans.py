"""Positions that each prompt of a set names for itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lenswright.collecting.template_parts import named_text, text_places
from lenswright.tokens import Tokenizer

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt

Known = dict[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Spans:
    """A text within each of some prompts; made by `lw.steering.spans`.

    texts: (prompt, its span).
    """

    key: str
    texts: tuple[tuple[str, str], ...]
    _known: WeakKeyDictionary[Tokenizer, Known] = field(default_factory=WeakKeyDictionary)

    def places(self, prompts: Sequence[Sequence[int]], model: Model) -> list[tuple[int, ...]]:
        """The places of each prompt's span.

        Raises:
            ValueError: a prompt that is none of these.
        """
        known = self._of(model)
        for row, ids in enumerate(prompts):
            if tuple(ids) not in known:
                raise ValueError(
                    f"positions is '{self}', but the prompt of row {row} is none of the "
                    f"{len(self.texts)} prompts it was made of; expected tokens of prompt_tokens"
                )
        return [known[tuple(ids)] for ids in prompts]

    def _of(self, model: Model) -> Known:
        if model.tokenizer not in self._known:
            rows = model.prompt_tokens([prompt for prompt, _ in self.texts])
            pairs = zip(rows, self.texts, strict=True)
            self._known[model.tokenizer] = {
                tuple(ids): text_places(text, ids, model) for ids, (_, text) in pairs
            }
        return self._known[model.tokenizer]

    def __str__(self) -> str:
        return f"span:{self.key}"


def spans(prompts: Iterable[Prompt], key: str) -> Spans:
    """The positions of the text that each prompt's row holds under a key, as in `model.collect`.

    The last occurrence of the text in the prompt; every token that has a part in it counts.

    Args:
        prompts: a part of an `lw.Splits`, or prompts, of which the steered run may read any.
        key: of their rows.

    Raises:
        KeyError: a row has no such key.
        ValueError: the text does not occur in the prompt; there are no prompts.

    >>> on_topic = lw.steering.spans(splits.test, "topic")
    >>> steering = lw.steering.add(direction, 4.0, layers=3, positions=on_topic)
    """
    found = [(prompt.text, named_text(prompt, key)) for prompt in prompts]
    if not found:
        raise ValueError("prompts is empty, expected those whose spans are meant")
    return Spans(key, tuple(found))
