"""What a model's chat template puts around an instruction, found once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lenswright.collecting.template_parts import common_prefix, common_suffix
from lenswright.tokens import Tokenizer

if TYPE_CHECKING:
    from lenswright.model import Model

_known: WeakKeyDictionary[Tokenizer, tuple[list[int], list[int]]] = WeakKeyDictionary()


def template_parts(model: Model, rule: str) -> tuple[list[int], list[int]]:
    """The tokens before an instruction and behind it, of which `rule` needs some.

    Raises:
        ValueError: there is no chat template, or it puts none there.
    """
    if model.tokenizer.chat_template is None:
        raise ValueError(
            f"positions is '{rule}', but there is no chat template; expected 'last' or offsets"
        )
    if model.tokenizer not in _known:
        # Words of this vocabulary among them: to some tokenizers all others are one unknown token.
        words = [model.tokenizer.decode([model.cfg.d_vocab // part]) for part in (2, 3, 5)]
        texts = ["one two three", "four", *(word for word in words if word.strip())]
        rows = model.prompt_tokens(texts)
        parts = common_prefix(texts, rows, model), common_suffix(texts, rows, model)
        _known[model.tokenizer] = parts
    before, behind = _known[model.tokenizer]
    if (rule == "post_instruction" and not behind) or (rule == "pre_instruction" and not before):
        side = "follow" if rule == "post_instruction" else "precede"
        raise ValueError(
            f"positions is '{rule}', but no tokens {side} the instruction; expected 'last' or "
            "offsets"
        )
    return before, behind
