"""One edit of weights: a value that is tried, applied, reverted, committed, saved."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.editing.description import Description
from lenswright.editing.edit_arithmetic import EditArithmetic
from lenswright.editing.edit_files import EditFiles

if TYPE_CHECKING:
    from lenswright.model import Model

Again = Callable[[int, int], "Edit"]  # (seed, index): the same edit with random directions

_ROLES = ("fit", "select")  # entries of a direction's provenance that say which prompts it has seen


class Edit(EditArithmetic, EditFiles):
    """A change of the weights that write to the residual stream, W' = S (I - U Vᵀ) W C + A Bᵀ.

    Made by `edits.ablate` and its neighbours, `edits.from_factors` or `edits.load`, or of other
    edits: `a + b`, `2 * a`, `a.then(b)`, `a.inverse()`, `a.restrict(layers=[3])`. Immutable. The
    same value is tried (`with model.edited(edit):`), applied to a model and reverted, committed to
    a checkpoint, saved. Tried is the exact edit; applied and committed are that, rounded once to
    the type each tensor is stored in, and equal each other byte for byte.
    """

    def __init__(
        self, native: _core.Edit, again: Again | None = None, model: Model | None = None
    ) -> None:
        self.native = native
        self.again = again
        self.model = model
        self._provenance: dict[str, Any] | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was made: method, writers, strength, the direction's own provenance."""
        if self._provenance is None:
            plain: dict[str, Any] = json.loads(self.native.provenance) or {}
            self._provenance = plain | _roles(plain)
        return self._provenance

    @property
    def id(self) -> str:
        """SHA-256 over writers and factors: equal for edits that do the same."""
        return self.native.id

    @property
    def rows(self) -> int:
        """How many rows of a batch carry edits of their own; 0 where it is one edit."""
        return self.native.rows

    @property
    def bases(self) -> dict[str, str]:
        """SHA-256 of the stored tensors it was made for, by name."""
        return dict(self.native.bases)

    def row(self, index: int) -> Edit:
        """The edit of one row, as an edit for all.

        Raises:
            IndexError: there is no such row.
        """
        return Edit(self.native.row(index), model=self.model)

    def take(self, rows: Sequence[int]) -> Edit:
        """The edits of these rows in this order; repeating is allowed: take([0, 0, 1, 1])."""
        return Edit(self.native.take(list(rows)), model=self.model)

    def factors(self) -> dict[str, dict[str, torch.Tensor]]:
        """Copies of the factors, float64, by writer and name. See `edits.from_factors`.

        Writers that share a factor share its copy.
        """
        return dict(self.native.factors())

    def describe(self) -> Description:
        """Every writer: what happens to it, or why nothing does."""
        return Description(self.native.describe())

    def writers(self) -> list[str]:
        """Names of the writers that it changes."""
        return [line["writer"] for line in self.describe() if line["edited"]]

    # --- using it -------------------------------------------------------------------------------
    def try_on(self, taps: _core.Taps) -> None:
        """Make runs with these taps behave as if the edit were in the weights.

        `with model.edited(edit):` does this for every run within. Computed in the run's type, in
        float32 where that has 16 bits.

        Raises:
            ValueError: the model has no such writer, or other sizes; a writer is edited twice.
        """
        _core.try_edit(taps, self.native)

    def apply(self, model: Model) -> None:
        """Put the edit into the model's weights in memory; the files stay as they are.

        Tied embeddings are untied where the token embedding is edited. All or nothing. Of a
        quantised tensor the model holds the whole in bfloat16, what `commit` writes, until it is
        reverted; others stay quantised.

        Raises:
            ValueError: a writer the model lacks; a tensor other than the one the edit was made for,
                or one that carries an edit already (revert that first: it would be rounded twice);
                a quantised one with a number beyond bfloat16.
        """
        self.native.apply(model.core)

    def revert(self, model: Model) -> None:
        """Take the edit out of the model's weights: every tensor is the file's again.

        Raises:
            ValueError: the edit is not applied.
        """
        self.native.revert(model.core)

    def is_applied(self, model: Model) -> bool:
        """Whether the model's weights carry this edit."""
        return self.native.is_applied(model.core)

    def __repr__(self) -> str:
        lines = self.describe()
        edited = [line for line in lines if line["edited"]]
        what = "; ".join(dict.fromkeys(line["what"] for line in edited)) or "changes nothing"
        rows = f", {self.rows} rows" if self.rows else ""
        method = self.provenance.get("method", "factors")
        return f"Edit({method}: {len(edited)} of {len(lines)} writers{rows}; {what})"

    def _repr_html_(self) -> str:
        return (
            f"<b>{html.escape(repr(self))}</b><details><summary>writers</summary>"
            f"{self.describe()._repr_html_()}</details>"
        )


def _roles(made: dict[str, Any]) -> dict[str, Any]:
    """Which prompts an edit has seen, itself or through directions or edits it is made of."""
    found: dict[str, Any] = {}
    for source in [made, made.get("direction") or {}, *map(_roles, made.get("of", []))]:
        for role in _ROLES:
            if role not in source:
                continue
            other = found.setdefault(role, {"role": role, "digests": []})
            digests = sorted({*other["digests"], *source[role].get("digests", [])})
            found[role] = (source[role] if not other["digests"] else other) | {"digests": digests}
    return found
