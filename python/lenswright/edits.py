"""Edits of weights as values: tried in a run, applied and taken back, committed to a checkpoint."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from lenswright import _core
from lenswright.aiming import count_of, optional, unpacked
from lenswright.conditioning import condition
from lenswright.control_vector import save_control_vector
from lenswright.directions import Directions
from lenswright.edit import Committed, Description, Edit
from lenswright.strengths import Kernel, Strength, finite, resolve_strength

if TYPE_CHECKING:
    from lenswright.choice import Choice
    from lenswright.model import Model

METHODS = tuple(_core.edit_methods())

__all__ = [
    "METHODS",
    "Committed",
    "Description",
    "Edit",
    "Kernel",
    "ablate",
    "ablate_tensors",
    "add",
    "affine",
    "condition",
    "from_factors",
    "leace",
    "load",
    "random_like",
    "save_control_vector",
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
    * "oblique": W' = (I - w A (BᵀA)⁻¹ Bᵀ) W, A the directions and B = `read`: what B sees is removed
      along A (with B = Σ⁻¹A, LEACE of two classes without its constant);
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
        strength: w: a number; a `Kernel` over layers; {layer: number}; or one of these for each
            kind of writer, {"attention": Kernel(...), "mlp": 0.5}. What it does not name is left
            alone.
        rows: vectors have a leading axis, and row i of a batch gets the i-th (for trials only).
        read: as many vectors as directions, for "oblique".
        against: directions are made orthogonal to the span of these first, for any method: a
            tensor [d_model], [k, d_model], or {layer: tensor}.
        against_strength: 1 makes them orthogonal, less takes out part of what they share.
        ridge: of method "ridge", more than 0, where directions have length 1.

    Raises:
        ValueError: an unknown method or writer, a direction that is zero, not finite or of another
            size, depends on others or lies in the span of `against`; a strength that is not finite;
            vectors that the method needs, or does not take.
        IndexError: a layer the model does not have.
        TypeError: `direction` or `strength` is none of these.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, 1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"method is {method!r}, expected one of {list(METHODS)}{hint}")
    given, source = unpacked(direction)
    how = resolve_strength(model, strength)
    told: dict[str, Any] = {"strength": how.told, "direction": source}
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
        noise = _noise(model, count_of(given, rows), seed, index)
        return ablate(
            model, noise, method, edit.writers(), strength, against=against, ridge=ridge,
            read=noise if read is not None else None, against_strength=against_strength,
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
        _core.ablate_tensors(Path(checkpoint), vector, asked, float(strength), axes[axis], told)
    )


def add(
    model: Model,
    direction: torch.Tensor | Choice | Directions,
    layer: int | Sequence[int],
    strength: float = 1.0,
    rows: bool = False,
) -> Edit:
    """Add a vector to the residual before some layers, for every token: steering, as weights.

    Before layer 0 it goes into every row of the token embedding (or the bias of the norm behind
    it); further on into the bias of the block before, where the architecture has one: its MLP's,
    its attention's (in parallel blocks), or those of its experts. Multipliers of embedding and residual are divided out:
    the residual before the layer is what it was plus strength · direction, exactly.

    Args:
        direction: a tensor [d_model], whose length counts; a `Choice` or `Directions`, whose
            vectors have length 1.
        layer: 0 to n_layers (behind the last); several add it once at each.
        strength: a factor; may be negative.
        rows: the tensor is [rows, d_model], and row i of a batch gets the i-th (trials only).

    Raises:
        ValueError: the architecture has nothing there that could add a constant (no bias, or a norm
            behind it); a vector of another size or not finite.
        IndexError: a layer the model does not have.

    Source: Arditi et al. 2024, arXiv:2406.11717, section 2.4.
    """
    (vector, layered), source = unpacked(direction)
    if vector is None:
        raise TypeError(
            f"direction is a mapping of {len(layered)} layers, expected one tensor [d_model]; sum "
            "edits of one layer each"
        )
    layers = [layer] if isinstance(layer, int) else list(layer)
    told = json.dumps({"direction": source, "layers": layers})
    native = _core.add(model.core, dict.fromkeys(layers, vector), rows, float(strength), told)
    length = float(vector.detach().double().norm()) if not rows else 1.0

    def again(seed: int, index: int) -> Edit:
        return add(model, length * _noise(model, 1, seed, index), layer, strength)

    return Edit(native, again, model)


def affine(
    model: Model,
    direction: torch.Tensor | Choice | Directions,
    target: torch.Tensor,
) -> Edit:
    """Set what the residual holds along directions: h' = h - P (h - target), P their projection.

    Every writer is projected and the target's component put back: once at the embedding where the
    target is one vector, and by biases of each block where it differs between layers. With the mean
    of the class without the behaviour this is affine concept editing (Marshall et al. 2024,
    arXiv:2411.09003; its alpha: target = mean_neg + alpha (mean_pos - mean_neg)).

    Args:
        direction: [d_model] or [k, d_model] (their span), a `Choice` or `Directions`.
        target: [d_model], or [n_layers + 1, d_model]: before each layer and behind the last.

    Raises:
        ValueError: the architecture has no bias to hold a target that differs between layers (see
            `add`); it computes its positions or norms its sums, so that the component is not the
            edit's to set; sizes that do not fit.
    """
    (vector, _), source = unpacked(direction)
    if vector is None:
        raise TypeError("direction is a mapping, expected a tensor [d_model] or [k, d_model]")
    native = _core.affine(model.core, vector, None, target, json.dumps({"direction": source}))

    def again(seed: int, index: int) -> Edit:
        return affine(model, _noise(model, count_of((vector, {})), seed, index), target)

    return Edit(native, again, model)


def leace(model: Model, write: torch.Tensor, read: torch.Tensor, mean: torch.Tensor) -> Edit:
    """LEACE as weights: h' = h - A (BᵀA)⁻¹ Bᵀ (h - mean), at every place of the residual.

    A eraser x' = x - W⁺ Q Qᵀ W (x - mean) of rank k has A = W⁺ Q and B = W Q (with W = Σ^(-1/2) and
    Q the orthonormal left singular vectors of W Σ_xz); for two classes A is the difference of their
    means and B = Σ⁻¹ A (Belrose et al. 2023, arXiv:2306.03819).

    Args:
        write, read: A and B, [d_model] or [k, d_model].
        mean: over everything, [d_model], or [n_layers + 1, d_model]; see `affine`.

    Raises:
        ValueError: as `affine`; or read sees nothing of write.
    """
    native = _core.affine(model.core, write, read, mean, json.dumps({"direction": None}))

    def again(seed: int, index: int) -> Edit:
        noise = _noise(model, count_of((write, {})), seed, index)
        return leace(model, noise, noise, mean)

    return Edit(native, again, model)


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
    return ablate(model, _noise(model, 1, seed, index), "plain", edit.writers(), made["strength"])


def _noise(model: Model, count: int, seed: int, index: int) -> torch.Tensor:
    """[d_model], or [count, d_model]: the index-th random unit vectors of a seed."""
    every = _core.random_directions((index + 1) * count, model.cfg.d_model, seed)
    return every[index] if count == 1 else every[index * count :]
