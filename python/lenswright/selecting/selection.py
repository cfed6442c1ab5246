"""Choosing one direction: what ablating it and adding it do, on prompts it was not made from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from lenswright import _core
from lenswright.progress import Progress
from lenswright.prompting.prompts import PromptSet, need_role, refuse_overlap
from lenswright.selecting.candidates import candidates, check, reasons
from lenswright.selecting.choice import Choice
from lenswright.selecting.choosing import SCORES, choose
from lenswright.selecting.grid import Grid, work
from lenswright.selecting.runner import Runner
from lenswright.selecting.scores import RefusalScore, Score

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
    by: Literal["bypass", "cosmic"] = "bypass",
) -> Choice:
    """Choose the direction that carries a behaviour.

    Every candidate is tried on prompts it was not made from, many in one batch, and what prompts
    and continuations have in common is run once for each:

    * bypass: mean score of positive prompts while the direction is ablated from everything that is
      written to the residual (the edit W' = (I - v vᵀ) W of every writer);
    * induce: mean score of negative prompts while the difference of means itself is added at its
      point, at all positions;
    * kl: mean KL(unchanged || ablated) of the next token of negative prompts, nats;
    * cosmic: cos(ablated positives, negatives) + cos(negatives added to, positives), of mean
      residuals before the tenth of the layers where the unchanged classes are least alike, joined,
      at the prompts' last tokens; it looks at no token of an answer;
    * separation: d' of the two classes along the direction, (m+ - m-) / sqrt((var+ + var-) / 2).

    Never tried: layer 0 and positions within the instruction, where a direction is the request's
    words rather than what the model makes of them; points where the classes do not differ. Kept:
    kl <= kl_max, induce >= induce_min and, unless `layers` says otherwise, the first 80 % of the
    layers. Chosen: the least bypass of those kept, or with `by` the greatest cosmic. If none is
    kept, the filters are relaxed in turn (induce, then depth, then kl by the knee of the Pareto
    front of bypass and kl) and the reason says so. Random directions go through the same (added at
    the chosen point with the chosen norm). `Choice.front` is the Pareto front of bypass, induce and
    kl of all that were tried.

    Args:
        found: directions at residual points of this model.
        prompts: the `select` part of an `lw.Splits`, none of which made `found`.
        refusal: texts of refusals, in place of the model's own, for the default score.
        score: another score, e.g. `TokenLogOdds`; default `RefusalScore`.
        n_random: random directions in the null, at least 2.
        seed: of the random directions.
        kl_max, induce_min: see above; induce_min in units of the score.
        layers: consider these layers only, however late.
        batch_size: prompts and continuations a run.
        deterministic: the same bytes for any batch size and thread count (DESIGN 1.10).
        progress: show it where it takes longer than a second.
        by: "bypass", or "cosmic": then, where neither `refusal` nor `score` is given, no token is
            scored at all, and bypass and induce are cos(changed, positives) - cos(changed,
            negatives) of the residuals that cosmic looks at.

    Raises:
        ValueError: prompts of another part or used before; directions of another model or of points
            that are not d_model wide; no candidates; no refusal of its own to score.

    Source: Arditi et al. 2024 (arXiv 2406.11717), with teacher-forced scores, a null and fallbacks;
    cosmic: Siu et al. 2025 (arXiv 2506.00085).
    """
    need_role(prompts, "select", "selecting a direction")
    refuse_overlap(prompts, found.provenance, "selecting a direction")
    check(model, found, refusal, score, n_random, layers, by)
    table = candidates(found, layers)
    tried = [row for row in table if not row["why"]]
    if not tried:
        raise ValueError(f"found has no candidates: {reasons(table)}")
    noise = _core.random_directions(n_random, model.cfg.d_model, seed)
    with torch.no_grad(), _core.deterministic(deterministic):
        ready = None
        if by == "bypass" or score is not None or refusal is not None:
            ready = (score or RefusalScore(refusal)).prepare(model, prompts)
        total = work(model, ready, prompts, len(tried), n_random)
        with Progress("select", total, "rows", progress) as bar:
            grid = Grid(Runner(model, batch_size, bar.step), prompts, ready, found, tried, noise)
            grid.try_all()
            late = None if layers is not None else model.cfg.n_layers
            chosen, reason, fallback = choose(tried, kl_max, induce_min, late, by)
            null = grid.null(chosen)
    settings: dict[str, Any] = {
        "n_random": n_random, "seed": seed, "kl_max": kl_max, "induce_min": induce_min,
        "layers": None if layers is None else sorted(layers), "by": by,
        "score": "of residuals" if ready is None else repr(ready),
        "cosmic_layers": grid.ends.layers,
    }  # fmt: skip
    if isinstance(ready, RefusalScore):
        settings["refusals"] = ready.refusals
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
        z={name: null.z(name, chosen[name]) for name in SCORES},
        provenance=found.provenance | {"select": prompts.provenance, "selection": settings},
    )
