"""The way of `lw.soup(method="learned")` from models to a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.inputs import live_tensors
from lenswright.merging.references import Reference
from lenswright.soups.coefficients import groups, recipe_of, table
from lenswright.soups.kitchen import Kitchen, average
from lenswright.soups.learned import Blend, learn

if TYPE_CHECKING:
    from lenswright.model import Model


def learned(
    kitchen: Kitchen, base: str | None, per: str, steps: int, rate: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe of the best coefficients, and the coefficients by group and model."""
    held_out, names = kitchen.rows(), kitchen.names
    model = _own(kitchen)
    whole = groups(list(model.parameters()), per)
    tensors = [_tensors(name, kitchen, model) for name in names]
    under = None if base is None else _tensors(base, kitchen, model)
    blend = Blend(model, tensors, under, whole)
    start = torch.full((len(names), len(whole)), 1 / len(names), dtype=torch.float64)
    found = learn(
        blend, held_out, start, base is None, steps, rate,
        lambda step, loss: kitchen.tell(f"step {step}", loss),
    )  # fmt: skip
    return recipe_of(names, found, whole, base), {"coefficients": table(names, found, whole)}


def _own(kitchen: Kitchen) -> Model:
    """A float32 model of the soup's shape whose tensors are its own."""
    return kitchen.model(average(kitchen.names) | {"out_dtype": "float32"})


def _tensors(name: str, kitchen: Kitchen, model: Model) -> Mapping[str, torch.Tensor]:
    """Those tensors of a model that the soup's model has.

    Raises:
        ValueError: it lacks one.
    """
    if name in kitchen.live:
        found: Mapping[str, torch.Tensor] = live_tensors(kitchen.live[name])
    else:
        reference = Reference.parse(name)
        if reference.lora is None:
            found = _Stored(Checkpoint(reference.path, revision=reference.revision))
        else:  # its sums are in no file: computed once, and held while the soup cooks
            found = kitchen.model(average([name]) | {"out_dtype": "float32"}).parameters()
    lacking = [tensor for tensor in model.parameters() if tensor not in found]
    if lacking:
        raise ValueError(f"model '{name}' has no tensor '{lacking[0]}', which others have")
    return found


class _Stored(Mapping[str, torch.Tensor]):
    """The tensors of a checkpoint, mapped one at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.checkpoint[name]

    def __iter__(self) -> Any:
        return iter(self.checkpoint)

    def __len__(self) -> int:
        return len(self.checkpoint)
