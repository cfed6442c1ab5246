"""Edits of weights as values: tried in a run, applied and taken back, committed to a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from lenswright import _core
from lenswright.directions import Directions
from lenswright.editing.adding import add, affine, leace
from lenswright.editing.aiming import count_of, noise, optional, unpacked
from lenswright.editing.committing import Committed, Recheck, Reverted, revert, verify
from lenswright.editing.conditioning import BLOCK_WRITERS, condition
from lenswright.editing.control_vector import load_control_vector, save_control_vector
from lenswright.editing.description import Description
from lenswright.editing.edit import Edit
from lenswright.editing.lora_import import from_lora
from lenswright.editing.method_words import sourced
from lenswright.editing.stacking import stack
from lenswright.editing.strengths import Kernel, Strength, finite, in_range, resolve_strength
from lenswright.nearest import expected_one_of

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.selecting.choice import Choice

METHODS = tuple(_core.edit_methods())

__all__ = [
    "BLOCK_WRITERS",
    "METHODS",
    "Committed",
    "Description",
    "Edit",
    "Kernel",
    "Recheck",
    "Reverted",
    "ablate",
    "ablate_tensors",
    "add",
    "affine",
    "condition",
    "from_factors",
    "from_lora",
    "leace",
    "load",
    "load_control_vector",
    "random_like",
    "revert",
    "save_control_vector",
    "stack",
    "verify",
]

Vectors = torch.Tensor | Mapping[int, torch.Tensor]


def ablate(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Mapping[int, torch.Tensor],
    method: str = "plain",
    writers: str | Sequence[str] = "all",
    strength: Strength = 1.0,
    rows: bool = False,
    *,
    read: Vectors | None = None,
    against: Vectors | None = None,
    against_strength: float = 1.0,
    ridge: float = 0.0,
) -> Edit:
    """Take directions out of what is written to the residual stream.

    With v a direction at length 1 in float64, w the strength and b a writer's bias, which is
    changed as W is from the left:

    * "plain": W' = (I - w v vᵀ) W (Arditi et al. 2024, arXiv:2406.11717);
    * "projected": the same with what v shares with `against` taken out of it first (mean of the
      class to be kept, a direction to be protected; arXiv:2410.03415 with an `against_strength`);
    * "write_norm": plain, then every column of W scaled back to its length: vᵀW' = (1 - w) vᵀWC;
    * "row_norm": W' = S (I - w D v vᵀ D⁻¹) W, D the lengths of W's rows, S what gives the rows of
      W' these lengths again; exact. "row_oblique": without S. Both remove D⁻¹v rather than v;
    * "oblique": W' = (I - w A (BᵀA)⁻¹ Bᵀ) W, A the directions and B = `read`: what B sees is
      removed along A (with B = Σ⁻¹A, LEACE of two classes without its constant);
    * "subspace": W' = (I - w Q Qᵀ) W, Q an orthonormal basis of k directions; "ridge":
      W' = (I - w R (RᵀR + ridge I)⁻¹ Rᵀ) W with R the directions (arXiv:2512.18901);
    * "reflection": W' = (I - 2 w v vᵀ) W; "strengthen": W' = (I + w v vᵀ) W.

    Where a norm with gain g stands between a writer and the residual (Gemma 2 and 3, GLM-4, OLMo 2
    and 3, EXAONE 4; BLOOM's embedding), v is gain ⊙ direction at length 1, for a layer norm with
    its mean taken out: then nothing is added along the direction. Where that matters "oblique"
    writes A divided by the gain. What an edit leaves over is told in its provenance under
    "remarks": norms behind the sum of residual and branch (OPT-350m) and computed positions.

    Args:
        model: whose writers are meant; it is not changed.
        direction: a tensor [d_model] of any length but 0; [k, d_model] for "oblique", "subspace"
            and "ridge"; a `Choice`; `Directions` with one direction; or {layer: tensor}, which
            leaves embeddings and other layers alone.
        method: one of `METHODS`.
        writers: "all"; kinds ("attention", "mlp", "expert", "shared_expert", "token_embedding",
            "embedding_projection", "embedding_norm", "positional_embedding"); names
            ("blocks.3.attn.W_O", "blocks.3.mlp.experts.7.W_out") or globs
            ("blocks.{4..7}.mlp.*"); or a list of these.
        strength: w, between -1000 and 1000: a number; a `Kernel` over layers; {layer: number}; or
            one of these for each kind of writer, {"attention": Kernel(...), "mlp": 0.5}. What it
            does not name is left alone.
        rows: vectors have a leading axis, and row i of a batch gets the i-th (for trials only).
        read: as many vectors as directions, for "oblique".
        against: directions are made orthogonal to the span of these first, for any method: a
            tensor [d_model], [k, d_model], or {layer: tensor}.
        against_strength: 1 makes them orthogonal, less takes out part of what they share.
        ridge: of method "ridge", more than 0, where directions have length 1.

    Raises:
        ValueError: an unknown method or writer, a direction that is zero, not finite or of another
            size, depends on others or lies in the span of `against`; a strength that is not finite
            or beyond 1000; vectors that the method needs, or does not take.
        IndexError: a layer the model does not have.
        TypeError: `direction` or `strength` is none of these.
    """
    if method not in METHODS:
        raise ValueError(expected_one_of("method", method, METHODS, cutoff=0.4))
    given, source = unpacked(direction, model)
    how = resolve_strength(model, strength)
    told: dict[str, Any] = {"strength": how.told, "direction": source} | sourced(method)
    if against is not None:
        told["against_strength"] = finite(against_strength, "against_strength")
    if ridge:
        told["ridge"] = finite(ridge, "ridge")
    asked = [writers] if isinstance(writers, str) else list(writers)
    native = _core.ablate(
        model.core, method, given, optional(read, "read"), optional(against, "against"),
        float(against_strength), rows, asked, how.all, how.writers, how.spared, float(ridge),
        json.dumps(told),
    )  # fmt: skip

    def again(seed: int, index: int) -> Edit:
        drawn = noise(model, count_of(given, rows), seed, index)
        return ablate(
            model, drawn, method, edit.writers(), strength, against=against, ridge=ridge,
            read=drawn if read is not None else None, against_strength=against_strength,
        )  # fmt: skip

    edit = Edit(native, again, model)
    return edit


def ablate_tensors(
    checkpoint: str | os.PathLike[str],
    direction: torch.Tensor | Choice | Directions,
    writers: str | Sequence[str],
    strength: float = 1.0,
    axis: Literal["rows", "columns"] | None = None,
) -> Edit:
    """Take a direction out of tensors by their names, in a checkpoint whose family nobody knows.

    W' = (I - strength v vᵀ) W along the axis of each matrix that lies along the residual stream; of
    a tensor of three axes, of every matrix in it; a vector is a bias. Nothing is known of what the
    tensors compute, so that such an edit can be committed, saved and reverted to its hash, but not
    tried, and what stands behind them (norms, multipliers, tied embeddings) is not accounted for:
    its provenance says so under "remarks".

    Args:
        checkpoint: folder or .safetensors file; read, not changed.
        direction: [d_model].
        writers: names or globs of tensors, such as "*.o_proj.weight".
        axis: "rows" (as nn.Linear stores it) or "columns"; needed for square matrices.

    Raises:
        ValueError: a name that matches nothing, a tensor of another shape or type; a square one
            and no axis.
        FileNotFoundError: no such checkpoint.
    """
    axes = {None: -1, "rows": 0, "columns": 1}
    if axis not in axes:
        raise ValueError(f"axis is {axis!r}, expected 'rows', 'columns' or None")
    (vector, _), source = unpacked(direction)
    if vector is None:
        raise TypeError("direction is a mapping, expected a tensor [d_model]")
    asked = [writers] if isinstance(writers, str) else list(writers)
    told = json.dumps({"direction": source})
    return Edit(
        _core.ablate_tensors(Path(checkpoint), vector, asked, in_range(strength), axes[axis], told)
    )


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
    return Edit(_core.make_edit(model.core, own, json.dumps(given)), model=model)


def load(path: str | os.PathLike[str]) -> Edit:
    """Read an edit that `Edit.save` wrote.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is damaged, or no edit.
    """
    return Edit(_core.Edit.load(Path(path)))


def random_like(edit: Edit, model: Model, seed: int = 0, index: int = 0) -> Edit:
    """The same edit with random directions, uniform on the sphere: a null for what an edit does.

    Directions given for layers become one for all of them; vectors to read along become the random
    ones; what is added keeps its length.

    Args:
        edit: made by a method of this module, by arithmetic of such, or a plain one that was saved.
        model: whose writers are meant.
        seed, index: the index-th directions of a seed.

    Raises:
        ValueError: the edit was made from factors, or loaded and not plain.
    """
    if edit.again is not None:
        return edit.again(seed, index)
    made = edit.provenance
    if made.get("method") != "plain" or not isinstance(made.get("strength"), (int, float)):
        raise ValueError(
            f"edit was made by {made.get('method')!r}, expected one of {list(METHODS)} in this "
            "process (of a loaded edit, 'plain')"
        )
    return ablate(model, noise(model, 1, seed, index), "plain", edit.writers(), made["strength"])
