"""Look, try, measure, bake: one path through all four, for the commands and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lenswright import _core, findings, methods
from lenswright.editing.baking import SWALLOWED, Baked, bake
from lenswright.measuring.measurement import measure
from lenswright.measuring.probes import Probe
from lenswright.measuring.refusal import COMMON_MARKERS, RefusalDetector
from lenswright.report import Report
from lenswright.selecting.scores import RefusalScore
from lenswright.told import (
    edit_facts,
    effect_line,
    front_lines,
    massive_note,
    number,
    titled,
    unlike,
)

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.directions import Directions, MassiveChannels, Score
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


@dataclass(frozen=True)
class Plan:
    """How the path is taken; the defaults are those of the functions they go to."""

    positions: str | int | Sequence[int] = "post_instruction"
    writers: str | Sequence[str] = "all"
    strength: float = 1.0
    method: str = "plain"  # one of `methods.METHODS`
    rank: int | None = None  # directions, of methods that take several; None: `along.RANK`
    ridge: float | None = None  # of method "ridge"; None: `along.RIDGE`
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
    massive: Literal["keep", "clip", "exclude"] = "keep"  # what of massive channels
    in_place: bool = False  # the model's own folder is edited, with a journal

    def __post_init__(self) -> None:
        for name, least in (("null", 2), ("null_prompts", 1), ("max_new_tokens", 1),
                            ("batch_size", 1)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")

    def any_edit(self, model: Model) -> Edit:
        """An edit of the same writers and rank, for what does not depend on its numbers.

        Raises:
            ValueError: the model cannot have such an edit; as the functions of `edits` do.
        """
        return methods.method_named(self.method).like(model, self)

    def check(self, model: Model) -> list[str]:
        """Raise at once what would otherwise be raised after minutes.

        Returns:
            What a user should know of the method in this model, one line each.
        """
        RefusalDetector(self.refusal)
        remark = methods.check(self).remark(model)
        self.any_edit(model)
        if self.in_place:
            _core.check_in_place(model.folder)
        return [remark] if remark else []


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
    from lenswright.directions import massive_channels

    remarks = plan.check(model)
    if folder is not None and (plan.in_place or folder.exists()):
        why = "is given beside in_place" if plan.in_place else "exists; expected a new one"
        raise FileExistsError(f"output folder {folder} {why}")
    for remark in remarks:
        say(f"note     {remark}")
    stats = model.collect(
        splits.fit, positions=plan.positions, what=("mean", "variance", "extremes"),
        batch_size=plan.batch_size, progress=plan.progress,
    )  # fmt: skip
    massive = massive_channels(stats)
    found = _find(stats, massive, plan, say)
    choice = _choose(model, found, splits, plan, say)
    notes = [*unlike(plan, choice), *massive_note(massive, plan)]
    for note in notes:
        say(f"         note: {note}")
    ground = methods.Ground(model, splits, plan, choice, stats)
    edit = methods.method_named(plan.method).make(ground)
    say(f"try      {sum(line['edited'] for line in edit.describe())} writers, no weight changed")
    report = measure(
        model, edit, splits.test, **_told_by(model, plan, splits), null=plan.null,
        null_prompts=plan.null_prompts, seed=plan.seed, max_new_tokens=plan.max_new_tokens,
        probes=plan.probes, batch_size=plan.batch_size, progress=plan.progress,
    )  # fmt: skip
    for effect in report.data["effects"]:
        say("measure  " + effect_line(effect))
    told = titled(report.data, plan, choice, remarks + notes)
    report = Report(told | {"run": _run(plan, splits)})
    baked = None
    if folder is not None or plan.in_place:
        baked = _bake(model, edit, splits, plan, folder, report, say)
    report = _whole(report, model, stats, found, choice, edit, baked, plan)
    return Story(model, stats, found, choice, edit, report, baked)


def _find(stats: Statistics, massive: MassiveChannels, plan: Plan, say: Say) -> Directions:
    from lenswright import directions

    found = directions.difference_of_means(stats)
    if plan.massive != "keep":
        found = massive.clipped(found) if plan.massive == "clip" else massive.excluded(found)
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
    model: Model, edit: Edit, splits: Splits, plan: Plan, folder: Path | None, report: Report,
    say: Say,
) -> Baked:  # fmt: skip
    rows = model.prompt_tokens([p.text for p in list(splits.test)[:8]])
    baked = bake(model, edit, folder, rows, plan.journal, report)
    pairs = ", ".join(f"{k.replace(', ', ' = ')} to {v:.1e}" for k, v in baked.differences.items())
    say(f"bake     {baked.folder}: {pairs}; reverting restores every hash: {baked.hashes_restored}")
    swallowed = baked.equivalence["facts"].get(SWALLOWED)
    if swallowed:
        say(f"         {swallowed} tensors are as before: rounding swallowed their change")
    if baked.dequantised:
        form, count = baked.dequantised
        say(f"         {count} tensors written in BF16 that were {form}")
    return baked


def _told_by(model: Model, plan: Plan, splits: Splits) -> dict[str, Any]:
    """What tells the behaviour: words that were named, or else refusals in two ways."""
    if plan.score is not None or (plan.by == "cosmic" and plan.refusal is None):
        return {"refusal": plan.refusal, "score": plan.score}
    own = plan.refusal or RefusalScore().prepare(model, splits.select).own
    preference = {"preference for refusing": RefusalScore(own)}
    return {"refusal": plan.refusal or COMMON_MARKERS, "score": preference}


def _run(plan: Plan, splits: Splits) -> dict[str, Any]:
    return findings.run_facts(plan.seed) | {
        "prompts": {part.role: len(part) for part in splits.parts},
        "sha256": {part.role: part.sha256 for part in splits.parts},
    }


def _whole(
    report: Report, model: Model, stats: Statistics, found: Directions, choice: Choice,
    edit: Edit, baked: Baked | None, plan: Plan,
) -> Report:  # fmt: skip
    data = dict(report.data)
    data["model"] = findings.model_facts(model)
    data["separation"] = findings.separation(stats, found)
    data["grid"] = findings.grid(choice, plan.score_name)
    data["measured_on"] = (
        "held-out prompts: none of them had a part in finding or choosing the edit"
    )
    data["edit"] = edit_facts(plan, choice, edit)
    if baked is not None:
        data["equivalence"] = baked.equivalence
        data["writers"] = baked.writers
    return Report(data)
