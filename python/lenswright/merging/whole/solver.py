"""What the core calls for a tensor that a method of whole matrices makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.whole import METHODS, NEEDS_STATISTICS, Problem

if TYPE_CHECKING:
    from lenswright.merging.recipes import Document


class Solver:
    """solver(tensor, inputs, out), bytes of float64 each; knows its plan once `plan` is set.

    Raises:
        ValueError: statistics that the method wants and a model has not, or the other way round.
    """

    def __init__(self, document: Document) -> None:
        self._method = str(document.data["merge_method"])
        self._files = _statistics(document, self._method)
        self.plan: Any = None
        self._jobs: dict[str, Any] = {}

    def __call__(self, tensor: str, inputs: list[Any], out: Any) -> None:
        """Compute one tensor."""
        if not self._jobs:
            self._jobs = {job[0]: job for job in self.plan.jobs}
        _, _, shape, _, sources, values, base = self._jobs[tensor]
        each = [torch.frombuffer(one, dtype=torch.float64).view(shape) for one in inputs]
        others = [i for i in range(len(each)) if i != base]
        kind = NEEDS_STATISTICS.get(self._method)

        def statistic(number: int) -> torch.Tensor | None:
            model, name, _ = sources[others[number]]
            key = f"{kind}.{name}"
            file = self._files[model]
            return file[key].double() if key in file else None

        problem = Problem(
            tensor, [each[i] for i in others], each[base] if base >= 0 else None, values,
            [sources[i][2] for i in others], statistic,
        )  # fmt: skip
        result = METHODS[self._method](problem)
        torch.frombuffer(out, dtype=torch.float64).view(shape).copy_(result)


def _statistics(document: Document, method: str) -> Mapping[str, Checkpoint]:
    given = document.statistics()
    kind = NEEDS_STATISTICS.get(method)
    if kind is None:
        if given:
            raise ValueError(
                f"{document.where}: statistics are for {' and '.join(NEEDS_STATISTICS)}; {method} "
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
        if not Path(path).is_file():
            raise FileNotFoundError(f"{document.where}: no statistics at '{path}'")
        files[model] = Checkpoint(path)
        if not any(name.startswith(f"{kind}.") for name in files[model]):
            raise ValueError(
                f"{document.where}: '{path}' holds no {kind}; expected merge_statistics(..., "
                f"what=['{kind}'])"
            )
    return files
