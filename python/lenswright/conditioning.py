"""Edits conditioned on keys: what positive prompts write changes, what negative ones write stays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from lenswright import _core
from lenswright.aiming import Given, unpacked
from lenswright.balance import Trials, gentlest
from lenswright.edit import Edit
from lenswright.findings import matrix_of
from lenswright.keys import Factors, KeyRun, Keys
from lenswright.positions import PositionRule
from lenswright.progress import Progress
from lenswright.prompts import need_role, refuse_overlap

if TYPE_CHECKING:
    from lenswright.choice import Choice
    from lenswright.directions import Directions
    from lenswright.model import Model
    from lenswright.prompt_sets import PromptSet
    from lenswright.scores import Score

Protect = Literal["weighted", "null_space"]

_IN_TURN = (("attention",), ("mlp", "expert", "shared_expert"))


@dataclass(frozen=True)
class _Settings:
    strength: float
    balance: float
    ridge: float
    protect: Protect
    null_share: float
    target: float | None


def condition(
    model: Model,
    direction: torch.Tensor | Choice | Directions | Mapping[int, torch.Tensor],
    prompts: PromptSet,
    balance: float | Sequence[float] = 0.1,
    strength: float = 1.0,
    writers: Sequence[str] = ("attention", "mlp", "expert", "shared_expert"),
    positions: PositionRule = "post_instruction",
    protect: Protect = "weighted",
    target: float | None = None,
    ridge: float = 1e-4,
    null_share: float = 1e-2,
    sequential: bool = True,
    batch_size: int = 64,
    select: PromptSet | None = None,
    score: Score | None = None,
    progress: bool = True,
) -> Edit:
    """Change what positive prompts write along a direction, and as little else as can be.

    For each writer W' = W + v δᵀ, a change of rank one, with δ the minimum of

        E₊(vᵀ(Wk + b) + δᵀk - τ)² + balance · E₋(δᵀk)² + ε |δ|²

    over keys k, what the writer reads: at `positions` of positive prompts (E₊), everywhere in
    negative ones and their answers (E₋). τ is the mean of vᵀ(Wk + b) over the latter, and ε is
    `ridge` times the mean diagonal of the sum of both moments. It is the normal equation of MEMIT
    (Meng et al. 2023, arXiv:2210.07229) with a target of one dimension. "null_space" keeps δ where
    negative keys hardly reach instead of weighing them, as AlphaEdit does (Fang et al. 2025,
    arXiv:2410.02355): in the span of eigenvectors of E₋[k kᵀ] below `null_share` of its mean
    eigenvalue.

    Writers are solved for in the order of a run, each block's attention before its MLP, on keys that
    the edits before have changed (`sequential`). Embeddings are left alone: their keys are tokens.
    An expert that no positive prompt chose is left alone too, and told.

    Args:
        direction: as in `ablate`; behind a norm with a gain it is gain ⊙ direction.
        prompts: the `fit` part of an `lw.Splits`.
        balance: λ; larger spares negative prompts more. Of several, each is tried on `select`, and
            of those that lower the mean score of its positive prompts at least 90 % as far as the
            best the one with the least KL of its negative prompts' next token is taken.
        strength: multiplies δ.
        writers: kinds, names or globs among the writers of blocks.
        positions: of positive prompts; a rule of `model.collect`.
        protect: "weighted" or "null_space".
        target: τ, as the component before any norm behind the writer; None: see above.
        ridge, null_share: see above; positive.
        batch_size: prompts a run; memory is that of one block's moments and residuals.
        select, score: the `select` part and a score for several balances; default `RefusalScore`.
        progress: show it.

    Raises:
        ValueError: prompts of another part; a setting out of range; negative prompts that reach
            every direction of what a writer reads ("null_space"); no writer left.
    """
    need_role(prompts, "fit", "conditioning an edit")
    balances = [balance] if isinstance(balance, (int, float)) else list(balance)
    for one in balances:
        _check(_Settings(float(strength), one, ridge, protect, null_share, target))
    given, source = unpacked(direction)
    asked = [writers] if isinstance(writers, str) else list(writers)
    sites, reasons = _chosen(model, given, asked)
    run = KeyRun(model, prompts, positions, batch_size)

    def made(one: float, told: dict[str, Any]) -> Edit:
        settings = _Settings(float(strength), one, ridge, protect, null_share, target)
        why = dict(reasons)
        with torch.no_grad():
            factors = _solve(model, run, sites, given, settings, sequential, why, progress)
        if not factors:
            raise ValueError("no writer is left to change: " + "; ".join(sorted({*why.values()})))
        facts = {
            "method": "condition", "protect": protect, "balance": one, "ridge": ridge,
            "strength": settings.strength, "target": target, "writers": asked,
            "sequential": sequential, "direction": source, "fit": prompts.provenance,
        }  # fmt: skip
        native = _core.make_edit(model.core, factors, json.dumps(facts | told), why)
        return Edit(native, again(one), model)

    def again(one: float) -> Callable[[int, int], Edit]:
        def of(seed: int, index: int) -> Edit:
            noise = _core.random_directions(index + 1, model.cfg.d_model, seed)[index]
            return condition(
                model, noise, prompts, one, strength, writers, positions, protect, target, ridge,
                null_share, sequential, batch_size, progress=False,
            )  # fmt: skip

        return of

    if not balances:
        raise ValueError("balance is empty, expected at least one number")
    if len(balances) == 1:
        return made(balances[0], {})
    if select is None:
        raise ValueError("select is None, expected the part of lw.Splits to choose a balance on")
    need_role(select, "select", "choosing a balance")
    refuse_overlap(select, {"fit": prompts.provenance}, "choosing a balance")
    trials = Trials(model, select, score, batch_size)
    table = [{"balance": one} | trials.row(made(one, {})) for one in balances]
    best = gentlest(table, trials.unedited)
    told = {"balances": table, "unedited": trials.unedited, "select": select.provenance}
    return made(balances[best], told)


def _check(settings: _Settings) -> None:
    for name in ("balance", "ridge", "null_share"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}, expected a positive number")
    if not math.isfinite(settings.strength):
        raise ValueError(f"strength is {settings.strength}, expected a finite number")
    if settings.protect not in ("weighted", "null_space"):
        raise ValueError(f"protect is {settings.protect!r}, expected 'weighted' or 'null_space'")


def _chosen(
    model: Model, given: Given, asked: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Writers to solve for, and why others are left alone. Kinds the model lacks are no error."""
    kinds = {site["kind"] for site in model.writers()}
    known = [one for one in asked if one in kinds or one not in sum(map(list, _IN_TURN), [])]
    one = given[0] if given[0] is not None else next(iter(given[1].values()))
    probe = _core.ablate(
        model.core, "plain", given, (None, {}), (None, {}), 1.0, False, known or asked,
        1.0, {}, {}, 0.0, "{}",
    )  # fmt: skip - checks directions and writers as every edit does
    assert one is not None
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


def _solve(
    model: Model,
    run: KeyRun,
    sites: Sequence[dict[str, Any]],
    given: Given,
    settings: _Settings,
    sequential: bool,
    reasons: dict[str, str],
    progress: bool,
) -> Factors:
    run.begin()
    factors: Factors = {}
    stored = model.parameters()
    last = max((site["layer"] for site in sites), default=-1)
    with Progress("condition", last + 1, "layers", progress) as bar:
        for layer in range(last + 1):
            here: Factors = {}
            for kinds in _IN_TURN:
                own = [s for s in sites if s["layer"] == layer and s["kind"] in kinds]
                found = run.collect(layer, own, here if sequential else {}) if own else {}
                for site in own:
                    keys = found.get(site["name"])
                    if keys is None or not keys.positive.n or not keys.negative.n:
                        who = "positive" if keys is None or not keys.positive.n else "negative"
                        reasons[site["name"]] = f"no {who} prompt chose it"
                        continue
                    v = _direction(model, site, given)
                    delta = solved(*_target(stored, site, v, keys, settings), keys, settings, site)
                    here[site["name"]] = {"A": v[None], "B": settings.strength * delta[None]}
            run.advance(layer, here if sequential else {})
            factors |= here
            bar.step()
    return factors


def _direction(model: Model, site: Mapping[str, Any], given: Given) -> torch.Tensor:
    v = given[0] if given[0] is not None else given[1][site["layer"]]
    before = _core.before_norm(model.core, site["name"], v.detach().double().cpu())
    return before / before.norm()


def _target(
    stored: Mapping[str, torch.Tensor],
    site: Mapping[str, Any],
    v: torch.Tensor,
    keys: Keys,
    settings: _Settings,
) -> tuple[torch.Tensor, float]:
    """a = Wᵀv [in], and what vᵀb - τ is."""
    a = v @ matrix_of(stored[site["weight"]], site)
    offset = 0.0
    if site["bias"]:
        bias = stored[site["bias"]]
        offset = float(v @ (bias if site["slice"] < 0 else bias[site["slice"]]).double())
    if settings.target is None:
        return a, -float(a @ keys.negative.mean)
    return a, offset - settings.target


def solved(
    a: torch.Tensor, offset: float, keys: Keys, settings: Any, site: Mapping[str, Any]
) -> torch.Tensor:
    """δ [in]: the minimum in closed form, of E₊(aᵀk + offset + δᵀk)² and the rest."""
    wanted, spared = keys.positive.second, keys.negative.second
    right = wanted @ a + offset * keys.positive.mean  # E₊[k (aᵀk + offset)]
    if settings.protect == "null_space":
        values, vectors = torch.linalg.eigh(spared)
        free = vectors[:, values < settings.null_share * values.mean()]
        if not free.shape[1]:
            raise ValueError(
                f"negative prompts reach every direction of what '{site['name']}' reads (of "
                f"{len(a)}, none below {settings.null_share:g} of the mean); expected a larger "
                "null_share, or protect='weighted'"
            )
        small = free.t() @ wanted @ free
        return -free @ _solution(small, free.t() @ right, settings.ridge)
    return -_solution(settings.balance * spared + wanted, right, settings.ridge)


def _solution(matrix: torch.Tensor, right: torch.Tensor, ridge: float) -> torch.Tensor:
    size = len(matrix)
    matrix = matrix + ridge * matrix.trace() / size * torch.eye(size, dtype=matrix.dtype)
    return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(matrix))[:, 0]
