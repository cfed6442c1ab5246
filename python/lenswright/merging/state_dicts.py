"""Merging models that are in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenswright import _files
from lenswright.checkpoints.checkpoint import _TORCH
from lenswright.merging import recipes
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
    inputs = []
    for name in document.models():
        if name not in models:
            raise ValueError(f"model '{name}' is not given; there are {', '.join(models)}")
        inputs.append((name, [wire_tensor(key, value) for key, value in models[name].items()]))
    solver = solver_for(document)
    plan = _files.plan_merge(document.json, document.where, inputs, mode, seed, solver=solver)
    if solver is not None:
        solver.begin(plan)
    tensors, _ = plan.run_in_memory(None, threads)
    return {name: _torch(dtype, shape, data) for name, dtype, shape, data in tensors}


def wire_tensor(name: str, value: torch.Tensor) -> tuple[str, str, list[int], Any]:
    """Name, type, shape and bytes of a tensor, as the core takes them; the bytes stay its own."""
    import torch

    wire = {torch_name: wire for wire, torch_name in _TORCH.items()}
    value = value.detach().cpu().contiguous()
    data = value.flatten().view(torch.uint8) if value.numel() else torch.empty(0, dtype=torch.uint8)
    return name, wire[str(value.dtype).removeprefix("torch.")], list(value.shape), data.numpy()


def _torch(dtype: str, shape: Sequence[int], data: bytearray) -> torch.Tensor:
    import torch

    kind = getattr(torch, _TORCH[dtype])
    if not data:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data, dtype=torch.uint8).view(kind).view(tuple(shape))
