"""Merging checkpoints by a recipe of mergekit's grammar: planned whole, written once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright import _files
from lenswright.merging import recipes, vocabularies
from lenswright.merging.merged import RECORD, Merged
from lenswright.merging.sizes import byte_count
from lenswright.merging.solving import solver_for
from lenswright.merging.stages import stage_room
from lenswright.progress import Progress

MODES = ("strict", "compat")


def merge(
    recipe: recipes.Source,
    output: str | os.PathLike[str],
    mode: str = "strict",
    *,
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
        seed: of methods that drop at random.
        threads: 0 for one per processor.
        shard_size: bytes of a file at most, or text such as "5GB".
        memory: private bytes at most, or text such as "500MB"; 0 for what it is quickest with.
        dry_run: plan and check only.
        allow_crimes: models of different types may be merged.
        resume: go on with what a killed run of the same merge left beside the output, at the stage
            and the tensor it stopped in, and leave what was done when this one is interrupted.

    Raises:
        ValueError: the recipe, or models that do not fit it or one another.
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
        byte_count(memory, "memory") if memory else 0,
    )  # fmt: skip
    documents = recipes.read(recipe)
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


@dataclass
class _Stage:
    """One document, planned."""

    document: recipes.Document
    settings: _Settings
    plan_: Any
    models: list[str]
    files: list[tuple[str, str]]

    @classmethod
    def plan(
        cls,
        document: recipes.Document,
        settings: _Settings,
        stages: Mapping[str, Any],
        target: Path,
    ) -> _Stage:
        models = document.models()
        inputs = [(name, _input(name, stages)) for name in models]
        for name, path in inputs:
            if isinstance(path, Path) and path.resolve() == target.resolve():
                raise ValueError(
                    f"output '{target}' is the input '{name}'; expected another folder"
                )
        vocabulary, files = _vocabulary(document, inputs, settings.mode)
        if settings.resume and document.statistics():
            raise ValueError(
                f"{document.where}: resume is not for merges with statistics, whose files may have "
                "changed meanwhile"
            )
        solver = solver_for(document)
        plan = _files.plan_merge(
            document.json, document.where, inputs, settings.mode, settings.seed,
            settings.shard_bytes, settings.mix, vocabulary, solver,
        )  # fmt: skip
        if solver is not None:
            solver.begin(plan)
        folder = dict(inputs)[plan.donor]
        folder = folder[0] if isinstance(folder, tuple) else folder
        files = _with_template(document.data.get("chat_template"), files, folder)
        return cls(document, settings, plan, models, files)

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
            plan.write_bytes, memory or self.memory(), self.models, plan.unused, list(plan.notes),
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


def _input(name: str, stages: Mapping[str, Any]) -> Any:
    """A path, a path and an adapter's, or the plan of a stage that is still to be done."""
    if name and name in stages:
        return stages[name]
    return recipes.located(name)


def _vocabulary(
    document: recipes.Document, inputs: Sequence[tuple[str, Any]], mode: str
) -> tuple[str, list[tuple[str, str]]]:
    data = document.data
    section = data.get("tokenizer")
    if data.get("tokenizer_source"):
        section = {"source": data["tokenizer_source"]}
    if not section:
        return "", []
    folders = {}
    for name, found in inputs:
        path = found[0] if isinstance(found, tuple) else found
        if not isinstance(path, Path) or not path.is_dir():
            raise ValueError(f"{document.where}: tokenizer: '{name}' is no folder with a tokenizer")
        folders[name] = path
    return vocabularies.plan(section, folders, data.get("base_model"), mode)


def _with_template(
    template: Any, files: list[tuple[str, str]], folder: Any
) -> list[tuple[str, str]]:
    """The files with a chat template put into them."""
    if template is None or template == "auto":  # the donor's own
        return files
    if "{" not in str(template) or len(str(template)) < 20:
        raise ValueError(
            f"chat_template is '{template}', expected 'auto' or a Jinja template of 20 characters "
            "or more"
        )
    named = dict(files)
    config = named.get("tokenizer_config.json") or None
    path = folder / "tokenizer_config.json" if isinstance(folder, Path) else None
    if config is None and path is not None and path.is_file():
        config = path.read_text(encoding="utf-8")
    settings = json.loads(config or "{}")
    settings["chat_template"] = template
    named["tokenizer_config.json"] = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    named["chat_template.jinja"] = str(template)
    return list(named.items())
