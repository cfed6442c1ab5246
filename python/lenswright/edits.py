"""Edits of weights as values: tried in a run, applied and taken back, committed to a checkpoint."""

from __future__ import annotations

import difflib
import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.directions import Directions
from lenswright.hub import resolve
from lenswright.progress import Progress

if TYPE_CHECKING:
    from lenswright.choice import Choice
    from lenswright.model import Model

Report = Callable[[int, int], object]

METHODS = ("plain",)
FACTORS = ("S", "U", "V", "C", "A", "B", "shift")
_ROLES = ("fit", "select")  # entries of a direction's provenance that say which prompts it has seen


class Description(list[dict[str, Any]]):
    """Every writer of a model and what an edit does to it, or why it does nothing; prints as a table.

    Each entry has writer, kind, edited, what, and the stored names weight and bias ("": not touched).
    """

    def __repr__(self) -> str:
        width = max((len(line["writer"]) for line in self), default=0)
        return "\n".join(
            f"{line['writer']:<{width}}  {'' if line['edited'] else 'left alone: '}{line['what']}"
            for line in self
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr{'' if line['edited'] else ' style=opacity:.6'}><td><code>{html.escape(line['writer'])}"
            f"</code></td><td>{'edited' if line['edited'] else 'left alone'}</td>"
            f"<td>{html.escape(line['what'])}</td></tr>"
            for line in self
        )
        return f"<table><tr><th>writer</th><th></th><th>what</th></tr>{rows}</table>"


@dataclass(frozen=True)
class Committed:
    """A folder that a commit wrote.

    changed: by stored name of every tensor that was edited, SHA-256 of its bytes before and after
    (equal where rounding swallowed the change). added: the unembedding that
    embeddings got which were tied, or None. left_behind: weight files of the input folder that its
    checkpoint does not use.
    """

    folder: Path
    changed: dict[str, tuple[str, str]]
    added: str | None
    left_behind: list[str]


class Edit:
    """A change of the weights that write to the residual stream, W' = S (I - U Vᵀ) W C + A Bᵀ.

    Made by `ablate`, `from_factors` or `load`; immutable. The same value is tried
    (`with model.edited(edit):`), applied to a model and reverted, committed to a checkpoint, and saved.
    Tried is the exact edit; applied and committed are that, rounded once to the type each tensor is
    stored in, and equal each other byte for byte.
    """

    def __init__(self, native: _core.Edit) -> None:
        self.native = native
        self._provenance: dict[str, Any] | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was made: method, writers, strength, the direction's own provenance."""
        if self._provenance is None:
            plain: dict[str, Any] = json.loads(self.native.provenance) or {}
            direction = plain.get("direction") or {}
            roles = {role: direction[role] for role in _ROLES if role in direction}
            self._provenance = roles | plain
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
        return Edit(self.native.row(index))

    def take(self, rows: Sequence[int]) -> Edit:
        """The edits of these rows in this order; repeating is allowed: take([0, 0, 1, 1])."""
        return Edit(self.native.take(list(rows)))

    def factors(self) -> dict[str, dict[str, torch.Tensor]]:
        """Copies of the factors, float64, by writer and name. See `from_factors`."""
        return dict(self.native.factors())

    def describe(self) -> Description:
        """Every writer: what happens to it, or why nothing does."""
        return Description(self.native.describe())

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

        Tied embeddings are untied where the token embedding is edited. All or nothing.

        Raises:
            ValueError: a writer the model lacks; a tensor other than the one the edit was made for,
                or one that carries an edit already (revert that first: two edits are rounded twice).
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

    def commit(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        progress: bool | Report = True,
    ) -> Committed:
        """Write a checkpoint with the edit in its weights to a new folder.

        Streams shard by shard in constant memory. What the edit does not touch is carried over byte
        for byte; tied embeddings whose token embedding is edited are untied; `lenswright.json` in the
        folder says what was done. The folder appears whole or not at all.

        Args:
            source: checkpoint folder, or a hub id.
            target: folder to write; must not exist.
            progress: show it, or a function (bytes done, bytes in all) that may return False to stop.

        Raises:
            FileExistsError: the target exists.
            FileNotFoundError: no such source, or nowhere to put the target.
            CheckpointError: the files are not what they claim to be.
            ValueError: the checkpoint has other writers, sizes or tensors than the edit was made for;
                source and target overlap.
        """
        target = Path(target)
        if callable(progress):
            done = self.native.commit(resolve(source), target, progress)
        else:
            with Progress("commit", 0, "MB", progress) as bar:

                def report(count: int, total: int) -> None:
                    bar.total = total // 1_000_000
                    bar.step(count // 1_000_000 - bar.done)

                done = self.native.commit(resolve(source), target, report)
        return Committed(target, done["changed"], done["added"], done["left_behind"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write factors (float64) and provenance to a new .safetensors file; `load` reads it.

        Raises:
            FileExistsError: the file exists.
        """
        self.native.save(Path(path))

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


def ablate(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Mapping[int, torch.Tensor],
    method: str = "plain",
    writers: str | Sequence[str] = "all",
    strength: float = 1.0,
    rows: bool = False,
) -> Edit:
    """Take a direction out of what is written to the residual stream.

    "plain": W' = (I - strength v vᵀ) W and b' = (I - strength v vᵀ) b, with v the direction at length
    1 in float64 (Arditi et al. 2024, arXiv:2406.11717).

    Args:
        model: whose writers are meant; it is not changed.
        direction: a tensor [d_model] of any length but 0; a `Choice`; `Directions` with one direction;
            or {layer: tensor}, which leaves embeddings and other layers alone.
        method: "plain".
        writers: "all"; kinds ("attention", "mlp", "token_embedding", "positional_embedding"); names
            ("blocks.3.attn.W_O") or globs ("blocks.{4..7}.mlp.*"); or a list of these.
        strength: 1 removes, 2 reflects, negative values amplify.
        rows: directions are [rows, d_model] and row i of a batch gets the i-th (for trials only).

    Raises:
        ValueError: an unknown method or writer, a direction that is zero, not finite or of another
            size, a strength that is not finite.
        IndexError: a layer the model does not have.
        TypeError: `direction` is none of these.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, 1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"method is {method!r}, expected one of {list(METHODS)}{hint}")
    whole, layers, source = _unpacked(direction)
    asked = [writers] if isinstance(writers, str) else list(writers)
    native = _core.ablate(model.core, whole, layers, rows, asked, float(strength), json.dumps(source))
    return Edit(native)


def from_factors(
    model: Model,
    factors: Mapping[str, Mapping[str, torch.Tensor]],
    provenance: Mapping[str, Any] | None = None,
) -> Edit:
    """An edit from factors of W' = S (I - U Vᵀ) W C + A Bᵀ and b' = S (I - U Vᵀ) b + shift.

    Args:
        model: whose writers are meant; it is not changed.
        factors: by writer ("blocks.3.attn.W_O") and name: S, shift [out]; U, V [k, out]; C [in];
            A [r, out]; B [r, in]; W being [out, in] however it is stored, and tokens or positions the
            inputs of an embedding. A leading axis of rows gives row i of a batch factors of its own.
            No writers: an edit that changes nothing.
        provenance: how they came about, as JSON-like data.

    Raises:
        ValueError: an unknown writer or factor, a shape that does not fit, numbers that are not
            finite, a shift where the writer has no bias.
    """
    own = {writer: dict(tensors) for writer, tensors in factors.items()}
    given = {"method": "factors"} | dict(provenance or {})
    return Edit(_core.make_edit(model.core, own, json.dumps(given)))


def load(path: str | os.PathLike[str]) -> Edit:
    """Read an edit that `Edit.save` wrote.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is damaged, or no edit.
    """
    return Edit(_core.Edit.load(Path(path)))


def random_like(edit: Edit, model: Model, seed: int = 0, index: int = 0) -> Edit:
    """The same ablation of a random direction, uniform on the sphere: a null for what an edit does.

    Args:
        edit: made by `ablate`; directions given for layers become one direction for all of them.
        model: whose writers are meant.
        seed, index: the index-th direction of a seed.

    Raises:
        ValueError: the edit was not made by `ablate`.
    """
    made = edit.provenance
    if made.get("method") not in METHODS:
        raise ValueError(f"edit was made by {made.get('method')!r}, expected one of {list(METHODS)}")
    vector = _core.random_directions(index + 1, int(made["model"]["d_model"]), seed)[index]
    writers = [line["writer"] for line in edit.describe() if line["edited"]]
    source = json.dumps({"random": {"seed": seed, "index": index}})
    return Edit(_core.ablate(model.core, vector, {}, False, writers, made["strength"], source))


def _unpacked(
    direction: object,
) -> tuple[torch.Tensor | None, dict[int, torch.Tensor], dict[str, Any] | None]:
    """(one direction, directions by layer, provenance) of whatever names a direction."""
    if isinstance(direction, torch.Tensor):
        return direction, {}, None
    if isinstance(direction, Mapping):
        if not direction:
            raise ValueError("direction is an empty mapping, expected {layer: tensor}")
        return None, dict(direction), None
    if isinstance(direction, Directions):
        count = len(direction.points) * len(direction.positions)
        if count != 1:
            raise ValueError(
                f"direction is {count} Directions, expected one: choose with directions.select, or "
                "take .vector(point, position)"
            )
        vector = direction.vector(direction.points[0], direction.positions[0])
        return vector, {}, dict(direction.provenance)
    vector = getattr(direction, "vector", None)
    if not isinstance(vector, torch.Tensor):
        raise TypeError(
            f"direction is {type(direction).__name__}, expected a tensor [d_model], a Choice, "
            "Directions or {layer: tensor}"
        )
    return vector, {}, dict(getattr(direction, "provenance", {}))
