"""Edits that put something there: vectors added, targets held, LEACE's mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.directions import Directions
from lenswright.editing.aiming import Sourced, count_of, noise, unpacked
from lenswright.editing.edit import Edit
from lenswright.editing.method_words import sourced

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.selecting.choice import Choice


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
    its attention's (in parallel blocks), or those of its experts. Multipliers of embedding and
    residual are divided out: the residual before the layer is what it was plus strength ·
    direction, exactly.

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
    (vector, layered), source = unpacked(direction, model)
    if vector is None:
        raise TypeError(
            f"direction is a mapping of {len(layered)} layers, expected one tensor [d_model]; sum "
            "edits of one layer each"
        )
    layers = [layer] if isinstance(layer, int) else list(layer)
    told = {"direction": source, "layers": layers} | sourced("add")
    native = _core.add(
        model.core, dict.fromkeys(layers, vector), rows, float(strength), json.dumps(told)
    )
    length = float(vector.detach().double().norm()) if not rows else 1.0

    def again(seed: int, index: int) -> Edit:
        return add(model, length * noise(model, 1, seed, index), layer, strength)

    return Edit(native, again, model)


def affine(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Sourced,
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
    (vector, _), source = unpacked(direction, model)
    if vector is None:
        raise TypeError("direction is a mapping, expected a tensor [d_model] or [k, d_model]")
    native = _core.affine(model.core, vector, None, target, _told("affine", source, target))

    def again(seed: int, index: int) -> Edit:
        return affine(model, noise(model, count_of((vector, {})), seed, index), target)

    return Edit(native, again, model)


def leace(
    model: Model,
    write: torch.Tensor | Choice | Directions | Sourced,
    read: torch.Tensor,
    mean: torch.Tensor,
) -> Edit:
    """LEACE as weights: h' = h - A (BᵀA)⁻¹ Bᵀ (h - mean), at every place of the residual.

    A eraser x' = x - W⁺ Q Qᵀ W (x - mean) of rank k has A = W⁺ Q and B = W Q (with W = Σ^(-1/2) and
    Q the orthonormal left singular vectors of W Σ_xz); for two classes A is the difference of their
    means and B = Σ⁻¹ A (Belrose et al. 2023, arXiv:2306.03819).

    Args:
        write, read: A and B, [d_model] or [k, d_model]; A also as `affine` takes a direction.
        mean: over everything, [d_model], or [n_layers + 1, d_model]; see `affine`.

    Raises:
        ValueError: as `affine`; or read sees nothing of write.
    """
    (vector, _), source = unpacked(write, model)
    if vector is None:
        raise TypeError("write is a mapping, expected a tensor [d_model] or [k, d_model]")
    native = _core.affine(model.core, vector, read, mean, _told("leace", source, mean))

    def again(seed: int, index: int) -> Edit:
        drawn = noise(model, count_of((vector, {})), seed, index)
        return leace(model, drawn, drawn, mean)

    return Edit(native, again, model)


def _told(name: str, source: dict[str, Any] | None, target: torch.Tensor) -> str:
    each = "one vector, at every layer" if target.dim() == 1 else "one vector before each layer"
    return json.dumps({"direction": source, "target": each} | sourced(name))
