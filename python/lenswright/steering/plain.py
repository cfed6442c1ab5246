"""Steerings that are nothing but vectors added to the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright.steering.acting import unit_length
from lenswright.steering.term import Term

if TYPE_CHECKING:
    from lenswright.model import Model

_BEFORE = {"resid_pre": 0, "resid_post": 1}


def added_vectors(terms: Sequence[Term], model: Model) -> dict[int, torch.Tensor]:
    """What is added to the residual before each layer, {layer: [d_model]} float64.

    Raises:
        ValueError: a term does something else, or not at every position.
    """
    found: dict[int, torch.Tensor] = {}
    for term in terms:
        why = _not_plain(term)
        if why:
            raise ValueError(
                f"'{term}' {why}, which no control vector does; expected vectors added at "
                "resid_pre or resid_post of layers, at all positions"
            )
        for layer in term.resolved(model):
            over = 1.0 if term.over_layers is None else term.over_layers(layer)
            length = term.strength * unit_length(term, layer) * term.weight * over
            before = layer + _BEFORE[term.at]
            vector = (length * term.aim.unit(layer)).detach()
            found[before] = found[before] + vector if before in found else vector
    return found


def _not_plain(term: Term) -> str:
    if term.operation != "add" or term.unit == "token":
        return "depends on the token"
    if term.at not in _BEFORE:
        return f"acts at {term.at}"
    if term.condition is not None or term.over_tokens is not None or not term.places.everywhere:
        return "acts at some positions only"
    return "keeps norms" if term.preserve_norm else ""
