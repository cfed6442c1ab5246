"""Arithmetic of edits: sums, multiples, one after another, inverses, parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lenswright import _core

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model


class EditArithmetic:
    """What edits of the same tensors make together; all of it exact, in float64 factors.

    An edit is a map of the weights it was made for: methods that look at weights (norms kept, keys)
    have looked at those, whatever comes before them in a composition.
    """

    native: _core.Edit
    again: Callable[[int, int], Edit] | None
    model: Model | None

    def __add__(self, other: Edit) -> Edit:
        """W + (W' - W) + (W'' - W): both changes at once.

        Raises:
            ValueError: both change a writer and one scales its inputs; edits of other tensors.
        """
        if not isinstance(other, EditArithmetic):
            return NotImplemented
        return self._made(_core.sum_edits(self.native, other.native), other, lambda a, b: a + b)

    def __mul__(self, scale: float) -> Edit:
        """W + scale · (W' - W): the same change, so much of it.

        Raises:
            ValueError: the edit scales a writer's inputs and changes its outputs too.
        """
        if not isinstance(scale, (int, float)):
            return NotImplemented
        native = _core.scale_edit(self.native, float(scale))
        return self._made(native, None, lambda a, _: a * scale)

    __rmul__ = __mul__

    def __neg__(self) -> Edit:
        """W - (W' - W): the opposite change; not the inverse."""
        return self * -1.0

    def __sub__(self, other: Edit) -> Edit:
        """W + (W' - W) - (W'' - W)."""
        if not isinstance(other, EditArithmetic):
            return NotImplemented
        return self + (-other)

    def then(self, other: Edit) -> Edit:
        """The other edit on what this one made, as one edit of the same tensors.

        Raises:
            ValueError: edits of other tensors.
        """
        native = _core.compose_edits(self.native, other.native)
        return self._made(native, other, lambda a, b: a.then(b))

    def inverse(self) -> Edit:
        """The edit that takes edited weights back, up to their rounding.

        Its tensors are those this edit makes, so no hashes are known of them. `revert` and the
        checkpoint it came from give the original bytes; this gives a map.

        Raises:
            ValueError: a direction is removed whole, which nothing can bring back.
        """
        return self._made(_core.invert_edit(self.native), None, lambda a, _: a.inverse())

    def restrict(
        self,
        writers: str | Sequence[str] = "all",
        layers: Sequence[int] = (),
        experts: Sequence[int] = (),
        heads: Sequence[int] = (),
        model: Model | None = None,
    ) -> Edit:
        """The part of the edit that concerns some writers.

        Args:
            writers: kinds, names or globs, as in `edits.ablate`, among those the edit changes.
            layers: of these layers only; embeddings are in none.
            experts: of these experts of each mixture only; other writers stay.
            heads: what the attention writes through these heads only; biases belong to none.
            model: whose weights the edit was made for; needed with `heads`.

        Raises:
            ValueError: nothing is left; a writer the edit does not change; with `heads` no model,
                another one, or an edit that scales outputs or inputs.
            IndexError: a head the model does not have.
        """
        asked = [writers] if isinstance(writers, str) else list(writers)
        native = _core.restrict_edit(self.native, asked, list(layers), list(experts))
        if heads:
            if model is None:
                raise ValueError("model is None, expected the model whose heads are meant")
            native = _core.restrict_edit_to_heads(model.core, native, list(heads))
        return self._made(
            native, None, lambda a, _: a.restrict(writers, layers, experts, heads, model)
        )

    def _made(
        self, native: _core.Edit, other: Edit | None, again: Callable[[Any, Any], Edit]
    ) -> Edit:
        from lenswright.editing.edit import Edit

        if self.again is None or (other is not None and other.again is None):
            return Edit(native, model=self.model)
        first, second = self.again, None if other is None else other.again

        def both(seed: int, index: int) -> Edit:
            return again(first(seed, index), None if second is None else second(seed, index))

        return Edit(native, both, self.model)
