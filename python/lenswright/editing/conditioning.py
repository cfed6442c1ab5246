"""Edits conditioned on keys: what positive prompts write changes, what negatives write stays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.collecting.positions import PositionRule
from lenswright.editing.aiming import Given, count_of, noise, unpacked
from lenswright.editing.balance import Trials, alternatives, best_of
from lenswright.editing.closed_form import Protect, Settings, Target, least_change, seen
from lenswright.editing.edit import Edit
from lenswright.editing.keys import Factors, KeyRun, Keys
from lenswright.editing.method_words import name_of, sourced
from lenswright.progress import Progress
from lenswright.prompting.prompts import need_role, refuse_overlap

if TYPE_CHECKING:
    from lenswright.directions import Directions
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import PromptSet
    from lenswright.selecting.choice import Choice
    from lenswright.selecting.scores import Score

_IN_TURN = (("attention",), ("mlp", "expert", "shared_expert"))
BLOCK_WRITERS = ("attention", "mlp", "expert", "shared_expert")


def condition(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Mapping[int, torch.Tensor],
    prompts: PromptSet,
    balance: float | Sequence[float] = 0.1,
    strength: float = 1.0,
    writers: str | Sequence[str] = BLOCK_WRITERS,
    positions: PositionRule = "post_instruction",
    protect: Protect = "weighted",
    target: Target = 0.0,
    ridge: float = 1e-4,
    null_share: float | Sequence[float] = 1e-2,
    sequential: bool = True,
    batch_size: int = 64,
    select: PromptSet | None = None,
    score: Score | None = None,
    progress: bool = True,
) -> Edit:
    """Change what positive prompts write along a direction, and as little else as can be.

    For each writer W' = W + v δᵀ, a change of rank one a direction, with δ the minimum of

        E₊(vᵀ(Wk + b) + δᵀk - τ)² + balance · E₋(δᵀk)² + ε |δ|²

    over keys k, what the writer reads: at `positions` of positive prompts (E₊), everywhere in
    negative ones and their answers (E₋). τ is the target: 0, as a plain ablation leaves it, or what
    negative prompts write on average at `positions`. ε is `ridge` times the mean diagonal of
    E₊[k kᵀ] + balance · E₋[k kᵀ]. It is the normal equation of MEMIT (Meng et al. 2023,
    arXiv:2210.07229) with a target of one dimension. "null_space" keeps δ where negative keys
    hardly reach instead of weighing them, as AlphaEdit does (Fang et al. 2025, arXiv:2410.02355):
    in the span of eigenvectors of E₋[k kᵀ] below `null_share` of its mean eigenvalue.

    Of several directions v are an orthonormal basis of their span, each with a δ of its own: for
    behaviours that more than one mechanism brings about.

    Writers are solved for in the order of a run, each block's attention before its MLP, on keys
    that the edits before have changed (`sequential`). Embeddings are left alone: their keys are
    tokens. An expert that no positive prompt chose is left alone too, and told.

    Args:
        direction: as in `ablate`, or a tensor [k, d_model]; behind a norm with a gain it is gain ⊙
            direction.
        prompts: the `fit` part of an `lw.Splits`.
        balance: λ; larger spares negative prompts more. Of several, each is tried on `select`, and
            of those that leave at most 5 % of its positive prompts as they were the one with the
            least KL over its negative prompts' answers is taken: by the score, which is above 0
            where a prompt would still rather be refused, and of refusals by the answers, which
            begin as before. Where none leaves so few, the one that leaves the fewest is taken. The
            edit's provenance has the table ("balances").
        strength: multiplies δ.
        writers: kinds, names or globs among the writers of blocks.
        positions: of prompts of both classes, for E₊ and the mean; a rule of `model.collect`.
        protect: "weighted" or "null_space".
        target: τ, as a component before any norm behind the writer; "mean": that of negatives.
        ridge, null_share: see above; positive. Of several null_share one is taken as of balances
            ("null_shares"), among those that leave room beside the negative keys.
        batch_size: prompts a run; memory is that of one block's moments and residuals.
        select, score: the `select` part and a score to choose with; default `RefusalScore`.
        progress: show it.

    Raises:
        ValueError: prompts of another part; a setting out of range; negative prompts that reach
            every direction of what a writer reads ("null_space"); no writer left.
    """
    need_role(prompts, "fit", "conditioning an edit")
    base = Settings(float(strength), 1.0, ridge, protect, 1.0, target)
    name, settings = alternatives(base, balance, null_share)
    asked = [writers] if isinstance(writers, str) else list(writers)
    maker = _Maker(model, direction, prompts, asked, positions, sequential, batch_size, progress)
    if len(settings) == 1:
        return maker.edit(settings[0])
    what = f"choosing a {name}"
    if select is None:
        raise ValueError(f"select is None, expected the part of lw.Splits for {what}")
    need_role(select, "select", what)
    refuse_overlap(select, {"fit": prompts.provenance}, what)
    trials = Trials(model, select, score, batch_size)
    best, table = best_of(trials, name, settings, maker.edit)
    told = {f"{name}s": table, "unedited": trials.unedited, "select": select.provenance}
    return maker.edit(best, told)


class _Maker:
    """Edits of one direction and one set of prompts, whatever the settings."""

    def __init__(
        self,
        model: Model,
        direction: Any,
        prompts: PromptSet,
        asked: list[str],
        positions: PositionRule,
        sequential: bool,
        batch_size: int,
        progress: bool,
    ) -> None:
        self.model, self.prompts, self.asked = model, prompts, asked
        self.sequential, self.progress = sequential, progress
        self.how = (positions, sequential, batch_size)
        self.given, self.source = unpacked(direction, model)
        self.sites, self.reasons = _chosen(model, self.given, asked)
        self.run = KeyRun(model, prompts, positions, batch_size)

    def edit(self, settings: Settings, told: Mapping[str, Any] | None = None) -> Edit:
        """The edit, and what to keep of how it was made."""
        reasons = dict(self.reasons)
        with torch.no_grad():
            factors = self._solve(settings, reasons)
        if not factors:
            raise ValueError(
                "no writer is left to change: " + "; ".join(sorted({*reasons.values()}))
            )
        facts: dict[str, Any] = {
            "method": "condition", "writers": self.asked, "sequential": self.sequential,
            "direction": self.source, "fit": self.prompts.provenance,
        }  # fmt: skip
        facts |= asdict(settings) | dict(told or {})
        facts |= sourced(name_of(facts))
        native = _core.make_edit(self.model.core, factors, json.dumps(facts), reasons)

        def again(seed: int, index: int) -> Edit:
            drawn = noise(self.model, count_of(self.given), seed, index)
            other = _Maker(self.model, drawn, self.prompts, self.asked, *self.how, False)
            return other.edit(settings)

        return Edit(native, again, self.model)

    def _solve(self, settings: Settings, reasons: dict[str, str]) -> Factors:
        self.run.begin()
        factors: Factors = {}
        last = max((site["layer"] for site in self.sites), default=-1)
        with Progress("condition", last + 1, "layers", self.progress) as bar:
            for layer in range(last + 1):
                here: Factors = {}
                for kinds in _IN_TURN:
                    own = [s for s in self.sites if s["layer"] == layer and s["kind"] in kinds]
                    in_force = here if self.sequential else {}
                    found = self.run.collect(layer, own, in_force) if own else {}
                    here |= self._solved(own, found, settings, reasons)
                self.run.advance(layer, here if self.sequential else {})
                factors |= here
                bar.step()
        return factors

    def _solved(
        self,
        sites: Sequence[Mapping[str, Any]],
        found: Mapping[str, Keys],
        settings: Settings,
        reasons: dict[str, str],
    ) -> Factors:
        factors: Factors = {}
        stored = self.model.parameters()
        for site in sites:
            keys = found.get(site["name"])
            if keys is None or not keys.positive.n or not keys.negative.n:
                who = "positive" if keys is None or not keys.positive.n else "negative"
                reasons[site["name"]] = f"no {who} prompt chose it"
                continue
            span = self._span(site)
            deltas = [
                least_change(*seen(stored, site, v, keys, settings), keys, settings, site)
                for v in span
            ]
            factors[site["name"]] = {"A": span, "B": settings.strength * torch.stack(deltas)}
        return factors

    def _span(self, site: Mapping[str, Any]) -> torch.Tensor:
        """[k, out] orthonormal, as they stand before the writer's norm."""
        all_, layers = self.given
        v = all_ if all_ is not None else layers[site["layer"]]
        before = _core.before_norm(self.model.core, site["name"], v.detach().double().cpu())
        if before.dim() == 1 or len(before) == 1:
            return before.reshape(1, -1) / before.norm()
        return torch.linalg.qr(before.t())[0].t().contiguous()


def _chosen(
    model: Model, given: Given, asked: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Writers to solve for, and why others are left alone. Kinds the model lacks are no error."""
    kinds = {site["kind"] for site in model.writers()}
    known = [one for one in asked if one in kinds or one not in BLOCK_WRITERS]
    probe = _core.ablate(
        model.core,
        "plain" if count_of(given) == 1 else "subspace",
        given,
        (None, {}),
        (None, {}),
        1.0,
        False,
        known or asked,
        1.0,
        {},
        {},
        0.0,
        "{}",
    )  # fmt: skip - checks directions and writers as every edit does
    sites = {site["name"]: site for site in model.writers()}
    chosen, reasons = [], {}
    for line in probe.describe():
        site = sites[line["writer"]]
        if not line["edited"]:
            reasons[site["name"]] = line["what"]
        elif site["layer"] < 0:
            reasons[site["name"]] = "what it reads are tokens, not keys that tell prompts apart"
        else:
            chosen.append(site)
    return chosen, reasons
