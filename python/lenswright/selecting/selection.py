"""Choosing one direction: what ablating it and adding it do, on prompts it was not made from."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.progress import Progress
from lenswright.prompting.prompts import PromptSet, need_role, refuse_overlap
from lenswright.selecting.choice import Choice, Null
from lenswright.selecting.choosing import Row, choose
from lenswright.selecting.scores import RefusalScore, Score
from lenswright.selecting.trials import (
    Addition,
    ablated_divergence,
    ablated_scores,
    added_scores,
    projections,
)

if TYPE_CHECKING:
    from lenswright.directions import Directions
    from lenswright.model import Model


def select(
    model: Model,
    found: Directions,
    prompts: PromptSet,
    refusal: Sequence[str] | None = None,
    score: Score | None = None,
    n_random: int = 20,
    seed: int = 0,
    kl_max: float = 0.1,
    induce_min: float = 0.0,
    layers: Collection[int] | None = None,
    batch_size: int = 128,
    deterministic: bool = True,
    progress: bool = True,
) -> Choice:
    """Choose the direction that carries a behaviour.

    Every candidate is tried on prompts it was not made from, many in one batch:

    * bypass: mean score of positive prompts while the direction is ablated from everything that is
      written to the residual (the edit W' = (I - v vᵀ) W of every writer);
    * induce: mean score of negative prompts while the difference of means itself is added at its
      point, at all positions;
    * kl: mean KL(unchanged || ablated) of the next token of negative prompts, nats;
    * separation: d' of the two classes along the direction, (m+ - m-) / sqrt((var+ + var-) / 2).

    Never tried: layer 0 and positions within the instruction, where a direction is the request's
    words rather than what the model makes of them; points where the classes do not differ. Kept:
    kl <= kl_max, induce >= induce_min and, unless `layers` says otherwise, the first 80 % of the
    layers. Chosen: the least bypass of those kept. If none is, the filters are relaxed in turn
    (induce, then depth, then kl by the knee of the Pareto front of bypass and kl) and the reason
    says so. Random directions go through the same (added at the chosen point with the chosen norm).

    Args:
        found: directions at residual points of this model.
        prompts: the `select` part of an `lw.Splits`, none of which made `found`.
        refusal: texts of refusals, in place of the model's own, for the default score.
        score: another score, e.g. `TokenLogOdds`; default `RefusalScore`.
        n_random: random directions in the null, at least 2.
        seed: of the random directions.
        kl_max, induce_min: see above; induce_min in units of the score.
        layers: consider these layers only, however late.
        batch_size: rows a run.
        deterministic: the same bytes for any batch size and thread count (DESIGN 1.10).
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: prompts of another part or used before; directions of another model or of points
            that are not d_model wide; no candidates; no refusal of its own to score.

    Source: Arditi et al. 2024 (arXiv 2406.11717), with teacher-forced scores, a null and fallbacks.
    """
    need_role(prompts, "select", "selecting a direction")
    refuse_overlap(prompts, found.provenance, "selecting a direction")
    _check(model, found, refusal, score, n_random, layers)
    table = _candidates(found, layers)
    tried = [row for row in table if not row["why"]]
    if not tried:
        raise ValueError(f"found has no candidates: {_reasons(table)}")
    d_model, n = model.cfg.d_model, len(tried)
    noise = _core.random_directions(n_random, d_model, seed)
    units = [found.vector(row["point"], row["offset"]) for row in tried]
    with torch.no_grad(), _core.deterministic(deterministic):
        ready = (score or RefusalScore(refusal)).prepare(model, prompts)
        none = torch.zeros(1, d_model, dtype=torch.float64)
        every = torch.cat([none, torch.stack(units), noise])
        total = _work(model, ready, prompts, len(every), n, n_random)
        with Progress("select", total, "rows", progress) as bar:
            run = (batch_size, bar.step)
            bypass = ablated_scores(model, prompts.positive, ready, every, *run).mean(1).tolist()
            kl = ablated_divergence(model, prompts.negative, every[1:], *run).mean(1).tolist()
            add = [_addition(found, row) for row in tried]
            add.append(Addition(add[0].point, add[0].layer, none[0]))  # unchanged
            induce = added_scores(model, prompts.negative, ready, add, *run).mean(1).tolist()
            apart = _separations(model, prompts, tried, units, *run)
            for i, row in enumerate(tried):
                row |= {"bypass": bypass[1 + i], "kl": kl[i], "induce": induce[i]}
                row["separation"] = apart[i]
            chosen, reason, fallback = choose(
                tried, kl_max, induce_min, None if layers is not None else model.cfg.n_layers
            )
            place = _addition(found, chosen)
            strewn = [Addition(place.point, place.layer, row * chosen["norm"]) for row in noise]
            random = added_scores(model, prompts.negative, ready, strewn, *run).mean(1).tolist()
    base = {"bypass": bypass[0], "induce": induce[n]}
    null = Null(bypass[1 + n :], random, kl[n:], base)
    settings = {
        "n_random": n_random, "seed": seed, "kl_max": kl_max, "induce_min": induce_min,
        "layers": None if layers is None else sorted(layers), "score": repr(ready),
    }  # fmt: skip
    return Choice(
        vector=found.vector(chosen["point"], chosen["offset"]),
        point=chosen["point"],
        position=chosen["position"],
        offset=chosen["offset"],
        layer=chosen["layer"],
        raw_norm=chosen["norm"],
        reason=reason,
        fallback=fallback,
        table=table,
        null=null,
        z={name: null.z(name, chosen[name]) for name in ("bypass", "induce", "kl")},
        provenance=found.provenance | {"select": prompts.provenance, "selection": settings},
    )


def _check(
    model: Model,
    found: Directions,
    refusal: Sequence[str] | None,
    score: Score | None,
    n_random: int,
    layers: Collection[int] | None,
) -> None:
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


def _candidates(found: Directions, layers: Collection[int] | None) -> list[Row]:
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
        unknown = dict.fromkeys(("bypass", "induce", "kl", "separation"))
        table.append(row | unknown | {"kept": False, "why": why})
    return table


def _reasons(table: Sequence[Row]) -> str:
    counts: dict[str, int] = {}
    for row in table:
        counts[row["why"]] = counts.get(row["why"], 0) + 1
    return "; ".join(f"{count} {why}" for why, count in counts.items())


def _addition(found: Directions, row: Row) -> Addition:
    return Addition(row["point"], row["layer"], found.raw(row["point"], row["offset"]))


def _work(
    model: Model, score: Score, prompts: PromptSet, directions: int, tried: int, n_random: int
) -> int:
    """Rows that a selection runs."""
    from lenswright.measuring.forcing import Forced

    positive, negative = (
        len(Forced.of(model, part, score.continuations).lines)
        for part in (prompts.positive, prompts.negative)
    )
    induced = negative * (tried + 1 + n_random)
    return positive * directions + len(prompts.negative) * directions + induced + len(prompts)


def _separations(
    model: Model,
    prompts: PromptSet,
    tried: Sequence[Row],
    units: Sequence[torch.Tensor],
    batch_size: int,
    step: Any,
) -> list[float]:
    places: dict[str, list[int]] = {}
    for index, row in enumerate(tried):
        places.setdefault(row["point"], []).append(index)
    directions = {
        point: ([tried[i]["offset"] for i in which], torch.stack([units[i] for i in which]))
        for point, which in places.items()
    }
    classes = [
        projections(model, part, directions, batch_size, step)
        for part in (prompts.positive, prompts.negative)
    ]
    result = [math.nan] * len(tried)
    for point, which in places.items():
        plus, minus = classes[0][point], classes[1][point]
        spread = ((plus.var(0) + minus.var(0)) / 2).sqrt()
        for i, value in zip(which, ((plus.mean(0) - minus.mean(0)) / spread).tolist(), strict=True):
            result[i] = value
    return result
