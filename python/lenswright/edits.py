"""Edits of weights as values: tried in a run, applied and taken back, committed to a checkpoint."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.directions import Directions
from lenswright.edit import Committed, Description, Edit

if TYPE_CHECKING:
    from lenswright.choice import Choice
    from lenswright.model import Model

METHODS = ("plain",)

__all__ = [
    "METHODS",
    "Committed",
    "Description",
    "Edit",
    "ablate",
    "from_factors",
    "load",
    "random_like",
]


def ablate(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Mapping[int, torch.Tensor],
    method: str = "plain",
    writers: str | Sequence[str] = "all",
    strength: float = 1.0,
    rows: bool = False,
) -> Edit:
    """Take a direction out of what is written to the residual stream.

    "plain": W' = (I - strength v vᵀ) W and b' = (I - strength v vᵀ) b, with v the direction at
    length 1 in float64 (Arditi et al. 2024, arXiv:2406.11717). Where a norm with gain g stands
    between a writer and the residual (Gemma 2 and 3, GLM-4, OLMo 2 and 3, EXAONE 4; BLOOM's
    embedding), v is gain ⊙ direction at length 1, for a layer norm with its mean taken out: then
    nothing is added along the direction. What an edit leaves over is told in its provenance under
    "remarks": norms behind the sum of residual and branch (OPT-350m) and computed positions.

    Args:
        model: whose writers are meant; it is not changed.
        direction: a tensor [d_model] of any length but 0; a `Choice`; `Directions` with one
            direction; or {layer: tensor}, which leaves embeddings and other layers alone.
        method: "plain".
        writers: "all"; kinds ("attention", "mlp", "expert", "shared_expert", "token_embedding",
            "embedding_projection", "embedding_norm", "positional_embedding"); names
            ("blocks.3.attn.W_O", "blocks.3.mlp.experts.7.W_out") or globs
            ("blocks.{4..7}.mlp.*"); or a list of these.
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
    native = _core.ablate(
        model.core, whole, layers, rows, asked, float(strength), json.dumps(source)
    )
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
            A [r, out]; B [r, in]; W being [out, in] however it is stored, and tokens or positions
            the inputs of an embedding. A leading axis of rows gives row i of a batch factors of
            its own. No writers: an edit that changes nothing.
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
        raise ValueError(
            f"edit was made by {made.get('method')!r}, expected one of {list(METHODS)}"
        )
    vector = _core.random_directions(index + 1, int(made["model"]["d_model"]), seed)[index]
    writers = [line["writer"] for line in edit.describe() if line["edited"]]
    source = json.dumps({"random": {"seed": seed, "index": index}})
    return Edit(_core.ablate(model.core, vector, {}, False, writers, made["strength"], source))


def _unpacked(
    direction: object,
) -> tuple[torch.Tensor | None, dict[Any, torch.Tensor], dict[str, Any] | None]:
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
        only = direction.vector(direction.points[0], direction.positions[0])
        return only, {}, dict(direction.provenance)
    vector = getattr(direction, "vector", None)
    if not isinstance(vector, torch.Tensor):
        raise TypeError(
            f"direction is {type(direction).__name__}, expected a tensor [d_model], a Choice, "
            "Directions or {layer: tensor}"
        )
    return vector, {}, dict(getattr(direction, "provenance", {}))
