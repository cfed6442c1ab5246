"""Which directions may be chosen at all, and what keeps the others from being tried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from lenswright.nearest import expected_one_of
from lenswright.selecting.choosing import BY, SCORES, Row
from lenswright.selecting.scores import Score

if TYPE_CHECKING:
    from lenswright.directions import Directions
    from lenswright.model import Model


def check(
    model: Model,
    found: Directions,
    refusal: Sequence[str] | None,
    score: Score | None,
    n_random: int,
    layers: Collection[int] | None,
    by: str,
) -> None:
    """Raise where a selection is asked for that cannot be made."""
    if by not in BY:
        raise ValueError(expected_one_of("by", by, BY))
    if refusal is not None and score is not None:
        raise ValueError("refusal and score are both given, expected one of them")
    if n_random < 2:
        raise ValueError(f"n_random is {n_random}, expected at least 2")
    for layer in layers or ():
        if not 0 <= layer < model.cfg.n_layers:
            raise ValueError(f"layers has {layer}, expected 0 to {model.cfg.n_layers - 1}")
    made = found.provenance["model"]
    if (made["n_layers"], made["d_model"]) != (model.cfg.n_layers, model.cfg.d_model):
        raise ValueError(
            f"found was made with {made['name']} ({made['n_layers']} layers of {made['d_model']}), "
            f"expected this model ({model.cfg.n_layers} layers of {model.cfg.d_model})"
        )
    for point, one in found.found.items():
        if one.unit.shape[1:] != (model.cfg.d_model,):
            raise ValueError(
                f"found has '{point}' with vectors {list(one.unit.shape[1:])}, expected points of "
                f"the residual's width {model.cfg.d_model}"
            )


def candidates(found: Directions, layers: Collection[int] | None) -> list[Row]:
    """A row a direction; `why` says what keeps it from being tried, or nothing."""
    behind = max(found.provenance["suffix"], 1)  # without a template: the last token of the prompt
    table = []
    for row in found.table():
        why = ""
        if row["layer"] is None:
            why = "outside the blocks"
        elif row["layer"] == 0:
            why = "layer 0: words, not yet a decision"
        elif row["offset"] is None or not -behind <= row["offset"] < 0:
            why = "within the instruction"
        elif layers is not None and row["layer"] not in layers:
            why = "not in layers"
        elif not row["norm"] > 0:
            why = "the classes do not differ here"
        del row["separation"]  # that of the fit; it is measured again here
        unknown = dict.fromkeys((*SCORES, "separation"))
        table.append(row | unknown | {"kept": False, "why": why, "front": False})
    return table


def reasons(table: Sequence[Row]) -> str:
    """How many were left out for what."""
    counts: dict[str, int] = {}
    for row in table:
        counts[row["why"]] = counts.get(row["why"], 0) + 1
    return "; ".join(f"{count} {why}" for why, count in counts.items())
