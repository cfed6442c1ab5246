"""What a conversation has read, kept from turn to turn while nothing that acts on it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenswright import _core

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.steering import Steering

HOOKS = "hooks are in force, which may do something else where a text is read in pieces"
STEERING = "a steering acts by where the prompt ends, by the token or on a condition"
DETERMINISTIC = "deterministic runs read a text at once"
CHANGED = "an edit, a steering or a weight is another one than when the conversation was read"


class KeptText:
    """Keys and values of what was read last, and what acted on the model meanwhile.

    Args:
        model: that reads.
        steering: of the conversation alone, behind those of `model.steered`.
        hooked: whether the conversation has hooks of its own.
    """

    def __init__(self, model: Model, steering: Steering | None, hooked: bool) -> None:
        self._model = model
        self._own = [] if steering is None else [steering]
        self._hooked = hooked
        self._text = _core.ReadText()
        self._acted = self._acting()

    def begin(self) -> tuple[_core.ReadText | None, str | None]:
        """Where the next turn may go on from, or None and why all of it has to be read again."""
        acting = self._acting()
        changed = False
        if not _equal(acting, self._acted):
            changed = bool(self._text.tokens)
            self._text, self._acted = _core.ReadText(), acting
        why = self._reason()
        if why is not None:
            return None, why
        return self._text, CHANGED if changed else None

    def end(self) -> None:
        """See that nothing has changed while a turn was read and answered."""
        if not _equal(self._acting(), self._acted):
            self._text = _core.ReadText()

    def _acting(self) -> tuple[str, list[Any]]:
        model = self._model
        return _core.weights_state(model.core), [*model._edits, *model._steerings, *self._own]

    def _reason(self) -> str | None:
        if self._hooked or self._model._hooks:
            return HOOKS
        terms = [t for one in [*self._model._steerings, *self._own] for t in one.terms]
        if any(
            not term.places.everywhere or term.condition is not None or term.over_tokens is not None
            for term in terms
        ):
            return STEERING
        return DETERMINISTIC if _core.is_deterministic() else None


def _equal(a: tuple[str, list[Any]], b: tuple[str, list[Any]]) -> bool:
    alike = a[0] == b[0] and len(a[1]) == len(b[1])
    return alike and all(one is other for one, other in zip(a[1], b[1], strict=True))
