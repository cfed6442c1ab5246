"""What the core calls for a tensor that a method of whole matrices makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.alignment.places import Places
from lenswright.merging.whole import (
    MAY_HAVE_STATISTICS,
    METHODS,
    NEEDS_STATISTICS,
    Problem,
)
from lenswright.merging.whole.interpolate import check_shares

if TYPE_CHECKING:
    from lenswright.merging.recipes import Document


class Solver:
    """solver(tensor, inputs, out), bytes of float64 each, once it has begun with its plan.

    Raises:
        ValueError: statistics that the method wants and a model has not, or the other way round.
    """

    def __init__(self, document: Document) -> None:
        self._method = str(document.data["merge_method"])
        self._files = _statistics(document, self._method)
        self._plan: Any = None
        self._jobs: dict[str, Any] = {}
        self._found: Places | None = None

    def begin(self, plan: Any) -> None:
        """Take the plan that is to be solved, and check what was measured against it.

        Raises:
            ValueError: a tensor of which nothing was measured, or of another shape.
        """
        self._plan, self._found = plan, None
        self._jobs = {job[0]: job for job in plan.jobs if job[3] == self._method}
        if self._jobs and self._method in MAY_HAVE_STATISTICS:
            for file in self._files.values():
                check_shares(file, self._places())
        for name, _, shape, _, sources, _, base in self._jobs.values():
            others = [source for i, source in enumerate(sources) if i != base]
            self._check(name, list(shape), others)

    def _check(self, tensor: str, shape: list[int], sources: list[Any]) -> None:
        kind = NEEDS_STATISTICS.get(self._method)
        if kind is None:
            return
        there = [f"{kind}.{name}" in self._files[model] for model, name, _ in sources]
        if not all(there) and (kind == "fisher" or any(there)):
            model = sources[there.index(False)][0]
            raise ValueError(f"the statistics of model '{model}' have no {kind} of '{tensor}'")
        wanted = shape if kind == "fisher" else [shape[-1]] * 2 if shape else []
        for model, name, _ in sources if all(there) else ():
            found = list(self._files[model].info(f"{kind}.{name}").shape)
            if found != wanted:
                raise ValueError(
                    f"the statistics of model '{model}': {kind} of '{tensor}' is {found}, expected "
                    f"{wanted}"
                )

    def __call__(self, tensor: str, inputs: list[Any], out: Any) -> None:
        """Compute one tensor."""
        _, _, shape, _, sources, values, base = self._jobs[tensor]
        each = [torch.frombuffer(one, dtype=torch.float64).view(shape) for one in inputs]
        others = [i for i in range(len(each)) if i != base]
        kind = NEEDS_STATISTICS.get(self._method)

        def statistic(number: int) -> torch.Tensor | None:
            model, name, _ = sources[others[number]]
            key = f"{kind}.{name}"
            file = self._files[model]
            return file[key].double() if key in file else None

        def extra(name: str) -> torch.Tensor | None:
            file = self._files.get(sources[others[0]][0])
            return file[name].double() if file is not None and name in file else None

        problem = Problem(
            tensor, [each[i] for i in others], each[base] if base >= 0 else None, values,
            [sources[i][2] for i in others], statistic, extra, self._places,
        )  # fmt: skip
        result = METHODS[self._method](problem)
        torch.frombuffer(out, dtype=torch.float64).view(shape).copy_(result)

    def _places(self) -> Places:
        if self._found is None:
            shapes = {job[0]: list(job[2]) for job in self._plan.jobs}
            self._found = Places(self._plan.config_text or "{}", shapes)
        return self._found


def _statistics(document: Document, method: str) -> Mapping[str, Checkpoint]:
    given = document.statistics()
    kind = NEEDS_STATISTICS.get(method)
    if kind is None and method in MAY_HAVE_STATISTICS:
        return {model: _opened(path, document.where) for model, path in given.items()}
    if kind is None:
        if given:
            raise ValueError(
                f"{document.where}: statistics are for "
                f"{', '.join([*NEEDS_STATISTICS, *MAY_HAVE_STATISTICS])}; {method} "
                "needs none"
            )
        return {}
    files = {}
    for model in document.models():
        path = given.get(model)
        if path is None:
            raise ValueError(
                f"{document.where}: model '{model}' has no statistics, which {method} needs: a "
                "file that lenswright.merge_statistics wrote"
            )
        files[model] = _opened(path, document.where)
        if not any(name.startswith(f"{kind}.") for name in files[model]):
            raise ValueError(
                f"{document.where}: '{path}' holds no {kind}; expected merge_statistics(..., "
                f"what=['{kind}'])"
            )
    return files


def _opened(path: str, where: str) -> Checkpoint:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{where}: no statistics at '{path}'")
    return Checkpoint(path)
