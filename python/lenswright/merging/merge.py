"""Merging checkpoints by a recipe of mergekit's grammar: planned whole, written once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright import _files
from lenswright.merging import inputs, recipes
from lenswright.merging.merged import RECORD, Merged
from lenswright.merging.sizes import byte_count
from lenswright.merging.solving import solver_for
from lenswright.merging.stages import stage_room
from lenswright.merging.templates import with_template
from lenswright.progress import Progress

MODES = ("strict", "compat")


def merge(
    recipe: recipes.Source,
    output: str | os.PathLike[str],
    mode: str = "strict",
    *,
    models: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 0,
    shard_size: int | str = "5GB",
    memory: int | str = 0,
    dry_run: bool = False,
    allow_crimes: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> Merged:
    """Merge checkpoints into a new folder, by a recipe of mergekit's grammar.

    Everything is checked before the first byte is written. Arithmetic is float64, rounded once to
    the output's type; the same recipe, models and seed give the same bytes, for any number of
    threads, sharding or order of models. Memory does not grow with the models.

    Args:
        recipe: a YAML file, YAML text of several lines, or a mapping. Several documents are stages.
        output: a folder that does not exist; it appears whole or not at all.
        mode: "strict", the published formulas; "compat", what mergekit 0.1.5 computes.
        models: models in memory by the names that the recipe has for them: `Model`s, with the edits
            applied to them, or models of `transformers`. Other names are paths and hub ids.
        seed: of methods that drop at random.
        threads: 0 for one per processor.
        shard_size: bytes of a file at most, or text such as "5GB".
        memory: private bytes at most, or text such as "500MB"; 0 for what it is quickest with.
        dry_run: plan and check only.
        allow_crimes: models of different types may be merged.
        resume: go on with what a killed run of the same merge left beside the output, at the stage
            and the tensor it stopped in, and leave what was done when this one is interrupted.

    Raises:
        ValueError: the recipe, or models that do not fit it or one another; a name in `models`
            that the recipe lacks.
        FileNotFoundError: a recipe or a model that is not there.
        FileExistsError: the output exists.
        CheckpointError: a model that is not what it claims to be.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected 'strict' or 'compat'")
    if threads < 0:
        raise ValueError(f"threads is {threads}, expected 0 or more")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}, expected a whole number of 0 or more, below 2^64")
    target = Path(output)
    if target.exists():
        raise FileExistsError(f"output folder exists: '{target}'")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder to put the output in: '{target.absolute().parent}'")
    settings = _Settings(
        mode, seed, byte_count(shard_size), allow_crimes, threads, resume, progress,
        byte_count(memory, "memory") if memory else 0, models or {},
    )  # fmt: skip
    documents = recipes.read(recipe)
    check_named(documents, settings.models)
    if resume and settings.models:
        raise ValueError("resume is True with models in memory, of which no later run can know")
    plans: dict[str, Any] = {}
    stages = []
    for document in documents:
        stage = _Stage.plan(document, settings, plans, target)
        plans[document.name] = stage.plan_
        stages.append(stage)
    if dry_run:
        return stages[-1].result(target, dry=True, memory=max(s.memory() for s in stages))
    if len(stages) == 1:
        return stages[0].run(target)
    return _run_stages(stages, settings, target)


def check_named(documents: Sequence[recipes.Document], models: Mapping[str, Any]) -> None:
    """ValueError where the recipe lacks a name of models in memory."""
    named = {name for document in documents for name in document.models()}
    for name in models:
        if name not in named:
            raise ValueError(f"models has '{name}', which the recipe lacks; it has {sorted(named)}")


def _run_stages(stages: Sequence[_Stage], settings: _Settings, target: Path) -> Merged:
    """Stages go to a hidden folder beside the target, which is gone afterwards."""
    key = [settings.mode, settings.seed, settings.shard_bytes, settings.mix]
    made_of = json.dumps([*key, *(stage.document.json for stage in stages)])
    with stage_room(target, made_of, settings.resume) as room:
        done: dict[str, Any] = {}
        for number, stage in enumerate(stages, 1):
            ready = _Stage.plan(stage.document, settings, done, target)
            # The name says all that decides what is in it; it is there whole or not at all.
            last = number == len(stages)
            folder = target if last else room / ready.plan_.fingerprint[:16]
            if last or not folder.exists():
                merged = ready.run(folder, f"merging, stage {number} of {len(stages)}")
            done[stage.document.name] = folder
    return merged


@dataclass(frozen=True)
class _Settings:
    mode: str
    seed: int
    shard_bytes: int
    mix: bool
    threads: int
    resume: bool
    progress: bool
    memory: int
    models: Mapping[str, Any]


@dataclass
class _Stage:
    """One document, planned."""

    document: recipes.Document
    settings: _Settings
    plan_: Any
    models: list[str]
    files: list[inputs.File]
    notes: list[str]

    @classmethod
    def plan(
        cls,
        document: recipes.Document,
        settings: _Settings,
        stages: Mapping[str, Any],
        target: Path,
    ) -> _Stage:
        models = document.models()
        found, folders = inputs.find(models, stages, settings.models)
        for name, path in found:
            if isinstance(path, Path) and path.resolve() == target.resolve():
                raise ValueError(
                    f"output '{target}' is the input '{name}'; expected another folder"
                )
        vocabulary, files, notes = inputs.vocabulary(document, found, folders, settings.mode)
        if settings.resume and document.statistics():
            raise ValueError(
                f"{document.where}: resume is not for merges with statistics, whose files may have "
                "changed meanwhile"
            )
        solver = solver_for(document)
        plan = _files.plan_merge(
            document.json, document.where, found, settings.mode, settings.seed,
            settings.shard_bytes, settings.mix, vocabulary, solver,
        )  # fmt: skip
        if solver is not None:
            solver.begin(plan)
        folder = folders.get(plan.donor)
        if plan.donor in settings.models and folder is not None:
            files = list((dict(inputs.beside(folder)) | dict(files)).items())
        wish = document.data.get("chat_template")
        files, more = with_template(wish, files, folder, folders)
        return cls(document, settings, plan, models, files, [*notes, *more])

    def memory(self) -> int:
        """Private bytes at most, with the threads and the limit asked for."""
        return int(self.plan_.memory(self.settings.threads, self.settings.memory))

    def result(self, folder: Path, dry: bool = False, memory: int = 0) -> Merged:
        plan, method = self.plan_, str(self.document.data["merge_method"])
        jobs = plan.jobs  # once: the list is made anew each time
        rows = {entry["name"]: entry for entry in _files.merge_methods()}
        return Merged(
            folder, method, self.settings.mode, self.settings.seed, rows[method]["random"], dry,
            len(jobs), sum(job[3] == "copy" for job in jobs), plan.read_bytes,
            plan.write_bytes, memory or self.memory(), self.models, plan.unused,
            [*self.notes, *plan.notes],
        )  # fmt: skip

    def run(self, folder: Path, label: str = "merging") -> Merged:
        done = self.result(folder)
        files = [*self.files, (RECORD, self._record(done))]
        with Progress(label, done.write_bytes, "bytes", self.settings.progress) as bar:
            found = self.plan_.run(
                folder, files, lambda n, _total: bar.step(n - bar.done), self.settings.threads,
                self.settings.resume, self.settings.memory,
            )  # fmt: skip
        for tensor, not_finite, remark in found:
            if not_finite:
                done.not_finite[tensor] = not_finite
            if remark:
                done.notes.append(f"{tensor}: {remark}")
        return done

    def _record(self, done: Merged) -> str:
        step = {"merge": self.document.data} | done.to_json()
        for key in ("folder", "dry_run", "not_finite"):
            step.pop(key)
        return json.dumps({"format": "lenswright record 1", "steps": [step]}, indent=2) + "\n"
