"""Look, try, measure, bake: one path through all four, for the commands and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from lenswright import _core, findings
from lenswright.editing.baking import Baked, bake
from lenswright.measuring.measurement import measure
from lenswright.measuring.probes import Probe
from lenswright.measuring.refusal import RefusalDetector
from lenswright.report import Report
from lenswright.selecting.scores import RefusalScore
from lenswright.told import effect_line, front_lines, number

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.directions import Directions, Score
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.prompting.prompts import Splits
    from lenswright.selecting.choice import Choice

Say = Callable[[str], None]


@dataclass
class Story:
    """Everything one path through the four verbs has made."""

    model: Model
    stats: Statistics
    found: Directions
    choice: Choice
    edit: Edit
    report: Report
    baked: Baked | None


METHODS = (
    "plain", "projected", "write_norm", "row_norm", "row_oblique", "reflection", "condition",
)  # fmt: skip
"""Ways to edit that need no more than a direction and the prompts it came from."""

PLAIN = "plain orthogonalisation, W' = (I - s v vᵀ) W"

BALANCES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Among which a conditioned edit's is chosen, on the selection split."""


@dataclass(frozen=True)
class Plan:
    """How the path is taken; the defaults are those of the functions they go to."""

    positions: str | int | Sequence[int] = "post_instruction"
    writers: str | Sequence[str] = "all"
    strength: float = 1.0
    method: str = "plain"
    refusal: Sequence[str] | None = None
    score: Score | None = None
    by: Literal["bypass", "cosmic"] = "bypass"
    score_name: str = "preference for refusing, nats a token"
    null: int = 20
    null_prompts: int | None = None
    seed: int = 0
    max_new_tokens: int = 32
    batch_size: int = 128
    probes: Mapping[str, Probe] | None = None
    progress: bool = True
    journal: bool = False  # keep what reverting the written folder needs
    in_place: bool = False  # the model's own folder is edited, with a journal

    def __post_init__(self) -> None:
        for name, least in (("null", 0), ("null_prompts", 1), ("max_new_tokens", 1),
                            ("batch_size", 1)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")

    def check(self, model: Model) -> None:
        """Raise at once what would otherwise be raised after minutes."""
        from lenswright.edits import ablate

        RefusalDetector(self.refusal)
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, expected one of {list(METHODS)}")
        method = "plain" if self.method in ("projected", "condition") else self.method
        anything = torch.ones(model.cfg.d_model, dtype=torch.float64)
        ablate(model, anything, method, writers=self.writers, strength=self.strength)
        if self.in_place:
            _core.check_in_place(model.folder)


def _edit(model: Model, splits: Splits, plan: Plan, choice: Choice, stats: Statistics) -> Edit:
    from lenswright import edits

    if plan.method == "condition":
        score = plan.score or RefusalScore(plan.refusal)
        writers = edits.BLOCK_WRITERS if plan.writers in ("all", ["all"]) else plan.writers
        return edits.condition(
            model, choice, splits.fit, BALANCES, plan.strength, writers, plan.positions,
            select=splits.select, score=score, batch_size=plan.batch_size, progress=plan.progress,
        )  # fmt: skip
    against = None
    if plan.method == "projected":
        row = list(stats.positions).index(choice.position)
        against = stats.mean("negative", choice.point)[row]
    return edits.ablate(model, choice, plan.method, plan.writers, plan.strength, against=against)


def tell(
    model: Model, splits: Splits, plan: Plan, folder: Path | None, say: Say = lambda _: None
) -> Story:
    """Find a direction, choose it, try it, measure it and, with a folder, bake it.

    Args:
        model: the model, unedited; it is so again afterwards.
        splits: prompts of the two classes, in three parts.
        folder: the checkpoint to write; must not exist. None: nothing is written, but with
            `plan.in_place` the model's own folder.
        say: is told each finding in a line.

    Raises:
        ValueError: as `collect`, `directions.select`, `edits.ablate` and `measure` do.
        FileExistsError: the folder exists; nothing is run then.
    """
    plan.check(model)
    if folder is not None and (plan.in_place or folder.exists()):
        why = "is given beside in_place" if plan.in_place else "exists; expected a new one"
        raise FileExistsError(f"output folder {folder} {why}")
    stats = model.collect(
        splits.fit, positions=plan.positions, batch_size=plan.batch_size, progress=plan.progress
    )
    found = _find(stats, say)
    choice = _choose(model, found, splits, plan, say)
    edit = _edit(model, splits, plan, choice, stats)
    say(f"try      {sum(line['edited'] for line in edit.describe())} writers, no weight changed")
    report = measure(
        model, edit, splits.test, refusal=plan.refusal, score=plan.score, null=plan.null,
        null_prompts=plan.null_prompts, seed=plan.seed, max_new_tokens=plan.max_new_tokens,
        probes=plan.probes, batch_size=plan.batch_size, progress=plan.progress,
    )  # fmt: skip
    for effect in report.data["effects"]:
        say("measure  " + effect_line(effect))
    baked = None
    if folder is not None or plan.in_place:
        baked = _bake(model, edit, splits, plan, folder, say)
    report = _whole(report, model, stats, found, choice, edit, baked, splits, plan)
    return Story(model, stats, found, choice, edit, report, baked)


def _find(stats: Statistics, say: Say) -> Directions:
    from lenswright import directions

    found = directions.difference_of_means(stats)
    best = max(found.table(), key=lambda row: row["separation"] or 0.0)
    say(
        f"look     {len(found.points)} layers x {len(found.positions)} positions; the classes lie "
        f"farthest apart at layer {best['layer']}, position '{best['position']}' "
        f"(d' {number(best['separation'], '.1f')})"
    )
    return found


def _choose(model: Model, found: Directions, splits: Splits, plan: Plan, say: Say) -> Choice:
    from lenswright import directions

    choice = directions.select(
        model, found, splits.select, refusal=plan.refusal, score=plan.score, n_random=plan.null,
        seed=plan.seed, batch_size=plan.batch_size, progress=plan.progress, by=plan.by,
    )  # fmt: skip
    row = choice.row
    say(
        f"         chosen: layer {choice.layer}, position '{choice.position}', split-half cosine "
        f"{number(row['split_cosine'], '.3f')}, standard error "
        f"{number(row['relative_error'], '.1%')} of its length"
    )
    for line in front_lines(choice):
        say(f"         {line}")
    return choice


def _bake(
    model: Model, edit: Edit, splits: Splits, plan: Plan, folder: Path | None, say: Say
) -> Baked:
    rows = model.prompt_tokens([p.text for p in list(splits.test)[:8]])
    baked = bake(model, edit, folder, rows, plan.journal)
    pairs = ", ".join(f"{k.replace(', ', ' = ')} to {v:.1e}" for k, v in baked.differences.items())
    say(f"bake     {baked.folder}: {pairs}; reverting restores every hash: {baked.hashes_restored}")
    if baked.dequantised:
        form, count = baked.dequantised
        say(f"         {count} tensors written in BF16 that were {form}")
    return baked


def _whole(
    report: Report, model: Model, stats: Statistics, found: Directions, choice: Choice,
    edit: Edit, baked: Baked | None, splits: Splits, plan: Plan,
) -> Report:  # fmt: skip
    data = dict(report.data)
    data["model"] = findings.model_facts(model)
    data["run"] = findings.run_facts(plan.seed) | {
        "prompts": {part.role: len(part) for part in splits.parts}
    }
    data["separation"] = findings.separation(stats, found)
    data["grid"] = findings.grid(choice, plan.score_name)
    data["measured_on"] = (
        "held-out prompts: none of them had a part in finding or choosing the edit"
    )
    data["edit"] = {
        "method": PLAIN if plan.method == "plain" else plan.method,
        "strength": plan.strength,
        "direction from": f"{choice.point}, position '{choice.position}'",
    } | {f"remark {i + 1}": text for i, text in enumerate(edit.provenance.get("remarks", []))}
    if baked is not None:
        data["equivalence"] = baked.equivalence
        data["writers"] = baked.writers
    return Report(data)
