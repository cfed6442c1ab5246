"""The parts of a prompt's tokens: what the template puts around it, the instruction, spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import Prompt

PROBES = 16  # prefixes of a prompt that tell its template from its words


def common_suffix(texts: Sequence[str], tokens: Sequence[Sequence[int]], model: Model) -> list[int]:
    """The tokens behind the instruction: those that all prompts end with, whatever they say.

    With a chat template these are the template's own: prompts that end alike ("thank you") are told
    apart by probing with their first words alone. Without one, an ending that all prompts share
    ("... She felt very") is what follows the instruction.
    """
    turned = [row[::-1] for row in _probed(texts, tokens, model, first=True)]
    return _beginning(turned)[::-1]


def common_prefix(texts: Sequence[str], tokens: Sequence[Sequence[int]], model: Model) -> list[int]:
    """The tokens before the instruction: those that all prompts begin with, whatever they say.

    With a chat template, prompts that begin alike are probed with their last words alone.
    """
    return _beginning(_probed(texts, tokens, model, first=False))


def _probed(
    texts: Sequence[str], tokens: Sequence[Sequence[int]], model: Model, first: bool
) -> list[list[int]]:
    rows = [list(row) for row in tokens]
    if model.tokenizer.chat_template is not None:
        words = texts[0].split()
        counts = range(1, min(len(words), PROBES + 1))
        rows += model.prompt_tokens(
            [" ".join(words[:count] if first else words[-count:]) for count in counts]
        )
    return rows


def _beginning(rows: Sequence[list[int]]) -> list[int]:
    common = rows[0]
    for row in rows[1:]:
        count = 0
        while count < min(len(common), len(row)) and common[count] == row[count]:
            count += 1
        common = common[:count]
    return common


def instruction_places(length: int, before: int, behind: int, inside: bool) -> tuple[int, ...]:
    """Places between the template's tokens, or those of the template."""
    inner = range(before, max(before, length - behind))
    return tuple(place for place in range(length) if (place in inner) == inside)


def matching_places(
    rule: Callable[[int, str], bool], tokens: Sequence[int], model: Model
) -> tuple[int, ...]:
    """Places for which rule(place, text of the token) holds."""
    pieces = model.tokenizer.pieces(tokens)
    return tuple(place for place, piece in enumerate(pieces) if rule(place, piece))


def named_text(prompt: Prompt, key: str) -> str:
    """The text of a span, which a prompt's row holds under a key.

    Raises:
        KeyError: the row has no such key.
        ValueError: the text does not occur in the prompt.
    """
    if key not in prompt.extra:
        raise KeyError(
            f"positions is 'span:{key}', but the row of {prompt} has no '{key}', expected the text "
            f"of a span there; it has {sorted(prompt.extra)}"
        )
    text = str(prompt.extra[key]).strip()
    if not text or text not in prompt.text:
        raise ValueError(f"positions is 'span:{key}', but {text!r} does not occur in {prompt}")
    return text


def text_places(text: str, tokens: Sequence[int], model: Model) -> tuple[int, ...]:
    """Places of the tokens that have a part in a text's last occurrence; none where it has none."""
    pieces = model.tokenizer.pieces(tokens)
    start = "".join(pieces).rfind(text)
    if start < 0:
        return ()
    places, at = [], 0
    for place, piece in enumerate(pieces):
        if at < start + len(text) and at + len(piece) > start:
            places.append(place)
        at += len(piece)
    return tuple(places)


def span_places(prompt: Prompt, key: str, tokens: Sequence[int], model: Model) -> tuple[int, ...]:
    """Places of the tokens that hold a text which the prompt's row names.

    Raises:
        KeyError: the row has no such key.
        ValueError: the text does not occur in the prompt.
    """
    text = named_text(prompt, key)
    places = text_places(text, tokens, model)
    if not places:
        raise ValueError(f"positions is 'span:{key}', but {text!r} does not occur in {prompt}")
    return places
