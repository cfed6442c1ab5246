"""Lenswright: look inside transformer language models, try an edit, measure it, bake it.

Every name below is loaded when it is first used. `import lenswright` itself imports neither torch
nor the extension modules, so that commands which only read files start in a fraction of a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright import directions as directions
    from lenswright import edits as edits
    from lenswright import steering as steering
    from lenswright._core import deterministic as deterministic
    from lenswright._files import Cancelled as Cancelled
    from lenswright.checkpoints.checkpoint import Checkpoint as Checkpoint
    from lenswright.checkpoints.checkpoint import CheckpointError as CheckpointError
    from lenswright.checkpoints.differing import diff as diff
    from lenswright.checkpoints.inspecting import inspect as inspect
    from lenswright.editing.committing import revert as revert
    from lenswright.generating.chatting import Conversation as Conversation
    from lenswright.live import from_transformers as from_transformers
    from lenswright.loading import load as load
    from lenswright.measuring.measurement import measure as measure
    from lenswright.merging.alignment.run import align as align
    from lenswright.merging.extraction import extract_adapter as extract_adapter
    from lenswright.merging.lineage import lineage as lineage
    from lenswright.merging.live_merge import merged_model as merged_model
    from lenswright.merging.merge import merge as merge
    from lenswright.merging.mixture.build import mixture_of_experts as mixture_of_experts
    from lenswright.merging.report import merge_report as merge_report
    from lenswright.merging.state_dicts import merge_state_dicts as merge_state_dicts
    from lenswright.merging.statistics import merge_statistics as merge_statistics
    from lenswright.merging.tasks import task_vectors as task_vectors
    from lenswright.merging.transplant.run import transplant as transplant
    from lenswright.model import Model as Model
    from lenswright.prompting.prompts import Splits as Splits
    from lenswright.report import Report as Report
    from lenswright.selftest import VerificationError as VerificationError
    from lenswright.soups.search import search_merge as search_merge
    from lenswright.soups.soup import soup as soup

# public name -> the module that defines it
_NAMES = {
    "Cancelled": "_files",
    "Checkpoint": "checkpoints.checkpoint",
    "CheckpointError": "checkpoints.checkpoint",
    "Conversation": "generating.chatting",
    "Model": "model",
    "Report": "report",
    "Splits": "prompting.prompts",
    "VerificationError": "selftest",
    "align": "merging.alignment.run",
    "diff": "checkpoints.differing",
    "extract_adapter": "merging.extraction",
    "from_transformers": "live",
    "inspect": "checkpoints.inspecting",
    "lineage": "merging.lineage",
    "load": "loading",
    "measure": "measuring.measurement",
    "merge": "merging.merge",
    "merge_report": "merging.report",
    "merge_state_dicts": "merging.state_dicts",
    "merge_statistics": "merging.statistics",
    "mixture_of_experts": "merging.mixture.build",
    "merged_model": "merging.live_merge",
    "revert": "editing.committing",
    "search_merge": "soups.search",
    "soup": "soups.soup",
    "task_vectors": "merging.tasks",
    "transplant": "merging.transplant.run",
}
_CORE = ("deterministic",)  # defined by lenswright._core
_MODULES = ("demo", "directions", "edits", "plots", "steering")  # public submodules

__all__ = ["__version__", *_NAMES, *_CORE, *_MODULES]  # noqa: PLE0604 - all of them are strings


def _version() -> str:
    from importlib.metadata import version

    return version("lenswright")


def _load_core() -> Any:
    """Load torch, then `lenswright._core`; ImportError where it was built with another torch."""
    import torch  # first: the core finds LibTorch already in the process

    from lenswright import _built_with

    minor = ".".join(torch.__version__.split(".")[:2])
    if minor != _built_with.TORCH:
        raise ImportError(
            f"lenswright was built with torch {_built_with.TORCH}, but torch {torch.__version__} "
            "is installed, and torch keeps no binary interface between minor releases: install "
            f"torch=={_built_with.TORCH}.*, or build lenswright again (./dev build, or pip install "
            "--no-build-isolation --force-reinstall --no-deps lenswright)"
        )
    return importlib.import_module("lenswright._core")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name == "_core":
        value = _load_core()
    elif name in _CORE:
        value = getattr(_load_core(), name)
    elif name in _MODULES:
        value = importlib.import_module(f"lenswright.{name}")
    elif name in _NAMES:
        value = getattr(importlib.import_module(f"lenswright.{_NAMES[name]}"), name)
    else:
        hint = did_you_mean(name, __all__)
        raise AttributeError(f"module 'lenswright' has no attribute '{name}'{hint}", name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
