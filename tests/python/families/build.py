"""Random checkpoints of any row, with weights large enough that every part matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from families.row import Row


def config_of(row: Row, knob: str = "", **changes: Any) -> Any:
    """The `transformers` config of a row's model."""
    from transformers import AutoConfig

    settings = row.settings(knob) | changes
    return AutoConfig.for_model(row.model_type or row.name, **settings)


def build(
    folder: Path, row: Row, knob: str = "", seed: int = 0, fused: bool = False, **changes: Any
) -> Path:
    """Save a random model of a row, with a knob turned and config keys changed, in float32.

    fused: mixtures keep all experts of a layer in one tensor, as `transformers` 5 does in memory.
    """
    import transformers

    model = getattr(transformers, row.auto).from_config(config_of(row, knob, **changes))
    randomize(model, seed)
    if row.tune:
        with torch.no_grad():
            row.tune(model)
    model.save_pretrained(folder, save_original_format=not fused)
    return folder


def randomize(model: Any, seed: int = 0) -> None:
    """Fill a model: gains near their first values, biases not zero, matrices of unit output."""
    generator = torch.Generator().manual_seed(seed)
    stored = set(model.state_dict())
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(_random(value, id(value) in tables, generator))
        for name, value in model.named_buffers():
            if name in stored and value.is_floating_point():
                value.copy_(_random(value, False, generator))


def _random(value: torch.Tensor, table: bool, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(value.shape, generator=generator)
    if table:
        return noise
    first = value.flatten()[0].item()
    constant = bool((value == first).all())
    if value.ndim < 2 or (constant and first != 0.0):
        # Norm gains start at one, or at zero where one is added to them; biases at zero.
        return 0.3 * noise + (first if constant else 0.0)
    return noise / value.shape[-1] ** 0.5
