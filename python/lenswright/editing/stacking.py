"""Many edits as rows of one: what row i of a batch carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenswright import _core

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit


def stack(edits: Sequence[Edit]) -> Edit:
    """Edits of any methods and ranks as one, of which row i of a batch carries the i-th.

    For trials only; `.row(i)` does what the i-th edit does, `.take([0, 0, 1, 1])` arranges them for
    a batch. `model.trial` does all of it.

    Args:
        edits: one at least, made for the same model. What one of them lacks is filled with factors
            that change nothing.

    Raises:
        ValueError: there are none; one has rows of its own, changes tensors by their names (which
            can only be applied and committed), or was made for other weights than those before it.

    Example:
        >>> many = lw.edits.stack([edit, 0.5 * edit])
        >>> with model.edited(many):
        ...     logits = model(["one text", "one text"])
    """
    from lenswright.editing.edit import Edit

    model = next((edit.model for edit in edits if edit.model is not None), None)
    return Edit(_core.stack_edits([edit.native for edit in edits]), model=model)
