"""What `transformers` calls the modules whose weights a checkpoint stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.model import Model


class ModuleNames:
    """Module names by stored tensors.

    Most names are the checkpoint's; wrappers that also see have moved theirs, and then the module
    is the one that shares the longest end of the name.
    """

    def __init__(self, model: Model) -> None:
        self._known = _module_names(model.folder)

    def of(self, site: Mapping[str, Any]) -> str:
        """The module of a writer; ValueError where none or several could be it."""
        name = str(site["weight"]).removesuffix(".weight")
        if not self._known or name in self._known:
            return name
        shared = {known: _common_end(name, known) for known in self._known}
        most = max(shared.values())
        best = [known for known, count in shared.items() if count == most]
        if most == 0 or len(best) > 1:
            raise ValueError(
                f"tensor '{site['weight']}' belongs to no module that transformers knows; expected "
                "edit.commit"
            )
        return best[0]


def _common_end(a: str, b: str) -> int:
    count = 0
    for x, y in zip(reversed(a.split(".")), reversed(b.split(".")), strict=False):
        if x != y:
            break
        count += 1
    return count


def transformers_model(folder: Path) -> Any:
    """The model as `transformers` makes it, without memory; None where it is not installed or knows
    no such model.
    """
    try:
        import transformers

        config = transformers.AutoConfig.from_pretrained(str(folder))
    except (ImportError, ValueError, OSError):
        return None
    kind = getattr(transformers, (config.architectures or [""])[0], None)
    if kind is None:
        return None
    with torch.device("meta"):
        return kind(config)


def _module_names(folder: Path) -> set[str]:
    """Of modules with a weight; none where `transformers` cannot tell."""
    model = transformers_model(folder)
    if model is None:
        return set()
    modules = dict(model.named_modules())
    return {name for name, module in modules.items() if getattr(module, "weight", None) is not None}
