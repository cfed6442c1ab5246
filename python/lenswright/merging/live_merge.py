"""A merge as a model in memory: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright import _files
from lenswright.merging import inputs, recipes
from lenswright.merging.merge import MODES, check_named

if TYPE_CHECKING:
    from lenswright.model import Model


def merged_model(
    recipe: recipes.Source,
    mode: str = "strict",
    *,
    models: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 0,
    allow_crimes: bool = False,
    device: str = "cpu",
    dtype: str = "auto",
) -> Model:
    """The model that `merge` would write, in memory, its tensors the same to the bit.

    Args:
        recipe, mode, models, seed, threads, allow_crimes: as in `merge`; one document, without a
            tokenizer section.
        device, dtype: as in `load`.

    Returns:
        A model with the tokenizer of the model that config.json comes from.

    Raises:
        ValueError: as `merge` does; several documents; a tokenizer section or a chat template; a
            device that is not there.
    """
    from lenswright import _core
    from lenswright.loading import checked_device
    from lenswright.model import Model

    device = checked_device(device)
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected 'strict' or 'compat'")
    documents = recipes.read(recipe)
    if len(documents) > 1:
        raise ValueError(f"{documents[0].where}: has stages, which need a folder; use merge")
    check_named(documents, models or {})
    document = documents[0]
    for key in ("tokenizer", "tokenizer_source", "chat_template"):
        if document.data.get(key):
            raise ValueError(f"{document.where}: {key} needs a folder; use merge")
    found, folders = inputs.find(document.models(), {}, models or {})
    plan = _files.plan_merge(document.json, document.where, found, mode, seed, mix=allow_crimes)
    if not plan.config_text:
        raise ValueError(f"model '{plan.donor}' has no config.json, which says how it is run")
    tensors, _ = plan.run_in_memory(None, threads)
    core = _core.Model.share(
        plan.config_text,
        {
            name: inputs.tensor(kind, shape, data).to(device)
            for name, kind, shape, data in tensors
        },
        device=device, dtype=dtype,
    )  # fmt: skip
    model = Model(core, folders.get(plan.donor, Path("merged")))
    model.own_config = plan.config_text
    if plan.donor in (models or {}):
        model._tokenizer = getattr((models or {})[plan.donor], "_tokenizer", None)
    return model
