"""Merging models that are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lenswright import _files
from lenswright.merging import inputs, recipes
from lenswright.merging.solving import solver_for

if TYPE_CHECKING:
    import torch


def merge_state_dicts(
    models: Mapping[str, Mapping[str, torch.Tensor]],
    recipe: Mapping[str, Any],
    mode: str = "strict",
    *,
    seed: int = 0,
    threads: int = 0,
) -> dict[str, torch.Tensor]:
    """Merge models in memory; nothing of them is changed.

    Args:
        models: by the name that the recipe uses, tensors by their names (on the CPU).
        recipe: as a mapping, without slices and tokenizer.
        mode, seed, threads: as in `merge`.

    Returns:
        Tensors by name, in the order of the first model.

    Raises:
        ValueError: the recipe, a model it names that is not given, tensors that do not fit.
    """
    document = recipes.read(recipe)[-1]
    if document.data.get("tokenizer") or document.data.get("tokenizer_source"):
        raise ValueError("tokenizer: models in memory have none; give folders to lenswright.merge")
    found = []
    for name in document.models():
        if name not in models:
            raise ValueError(f"model '{name}' is not given; there are {', '.join(models)}")
        found.append((name, [inputs.buffer(key, value) for key, value in models[name].items()]))
    solver = solver_for(document)
    plan = _files.plan_merge(document.json, document.where, found, mode, seed, solver=solver)
    if solver is not None:
        solver.begin(plan)
    tensors, _ = plan.run_in_memory(None, threads)
    return {name: inputs.tensor(dtype, shape, data) for name, dtype, shape, data in tensors}
