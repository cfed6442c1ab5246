"""What a merge did: how its models differ from the base and from one another, and what it costs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.checkpoints.hub import resolve
from lenswright.merging.lineage import Lineage, lineage
from lenswright.merging.merged import RECORD
from lenswright.merging.references import Reference
from lenswright.merging.tasks import TaskVectors, task_vectors

if TYPE_CHECKING:
    from lenswright.plots import Figure

Losses = Mapping[str, float]


@dataclass
class MergeReport:
    """What `merge_report` found. `tasks` has the merged model as its last."""

    folder: str
    method: str
    tasks: TaskVectors
    lineage: Lineage
    losses: dict[str, float] = field(default_factory=dict)  # measured, by model
    predicted: dict[str, float] = field(default_factory=dict)  # of the merged model, by rule
    tokens: int = 0

    def text(self) -> str:
        """For people."""
        lines = [f"{self.folder}: {self.method}", self.tasks.text(), self.lineage.text()]
        if self.losses:
            lines.append(f"loss on {self.tokens:,} tokens")
            lines += [f"{value:10.6f}  {name}" for name, value in self.losses.items()]
            lines += [f"{value:10.6f}  predicted: {how}" for how, value in self.predicted.items()]
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "folder": self.folder, "method": self.method, "tasks": self.tasks.to_json(),
            "lineage": self.lineage.to_json(), "losses": self.losses, "predicted": self.predicted,
            "tokens": self.tokens,
        }  # fmt: skip

    def figures(self, width: float = 860) -> dict[str, Figure]:
        """Pictures by name: sizes, shares changed, agreement and losses."""
        from lenswright.merging.report_page import figures

        return figures(self, width)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page and its JSON; return the page's path.

        Args:
            path: a folder (report.html and report.json are written into it), or an .html file.
        """
        from lenswright.merging.report_page import page
        from lenswright.plots.figure import write_whole

        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            path = path / "report.html"
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_whole(path.with_suffix(".json"), text)
        return write_whole(path, page(self))


def merge_report(
    folder: str | os.PathLike[str], held_out: Any = None, *, threads: int = 0, batch_size: int = 64
) -> MergeReport:
    """Look back at a merge that `merge` wrote: its models must still be where they were.

    Args:
        folder: of the merged checkpoint, with its lenswright.json.
        held_out: texts, prompts with answers or a file of either (see `lw.soup`): the loss of the
            base, of each model and of the merged one, beside what two rules would have foretold:
            straight through the models' losses, by the weights that a fit finds; and along the
            tangent at the base. How far they are off is how far the loss is from straight.
        threads: 0 for one per processor.
        batch_size: rows a run.

    Returns:
        For every tensor and layer: sizes of the differences to the base, cosines, signs in
        conflict, shares changed and effective densities, of the models and of what was merged; the
        weights that a least-squares fit finds; losses.

    Raises:
        FileNotFoundError: no such folder, or no record in it; a model that is gone.
        ValueError: the record is of something else than a merge of two models or more.
    """
    folder = Path(folder)
    base, models, method = _recorded(folder)
    paths: list[str] = [base, *models]
    report = MergeReport(
        str(folder), method, task_vectors(base, [*models, folder], threads=threads),
        lineage(paths, folder),
    )  # fmt: skip
    if held_out is not None:
        _losses(report, paths, held_out, batch_size)
    return report


def _recorded(folder: Path) -> tuple[str, list[str], str]:
    """Base (or first model), the other models and the method that a merge's record names."""
    path = folder / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"'{folder}' has no {RECORD}, which says what was merged")
    step = json.loads(path.read_text(encoding="utf-8"))["steps"][-1]
    if "merge" not in step:
        raise ValueError(f"{path} is of no merge")
    names: list[str] = []
    for name in step["models"]:
        reference = Reference.parse(name)
        if reference.lora is not None:
            raise ValueError(f"{path}: '{name}' has an adapter; expected folders")
        names.append(str(resolve(reference.path, reference.revision)))
    base = step["merge"].get("base_model")
    first = names[step["models"].index(base)] if base else names[0]
    others = [name for name in names if name != first]
    if not others:
        raise ValueError(f"{path}: one model alone; expected two or more")
    return first, others, str(step["merge"]["merge_method"])


def _losses(report: MergeReport, paths: list[str], held_out: Any, batch_size: int) -> None:
    from lenswright.loading import load
    from lenswright.soups.held_out import HeldOut

    judge = HeldOut.of(load(report.folder), held_out, batch_size)
    for path in [*paths, report.folder]:
        report.losses[path] = judge(load(path))
    weights = report.lineage.whole.weights
    report.tokens = judge.tokens
    report.predicted = {
        "straight through the models' losses, by their weights": math.fsum(
            weight * report.losses[path] for weight, path in zip(weights, paths, strict=True)
        ),
        "tangent at the base": _tangent(paths[0], report.folder, judge),
    }


def _tangent(base: str, merged: str, judge: Any) -> float:
    """L(base) + ⟨∇L(base), merged - base⟩."""
    from lenswright.loading import load

    model, target = load(base, dtype="float32"), Checkpoint(merged)
    tensors = model.parameters()
    for tensor in tensors.values():
        tensor.requires_grad_(True)
    loss = float(judge.backward(model))
    for name, tensor in tensors.items():
        if tensor.grad is not None:
            step = target[name].double() - tensor.detach().double()
            loss += float((tensor.grad.double() * step).sum())
    return loss
