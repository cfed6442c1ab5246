"""Models as recipes name them: paths and hub ids, with revisions, with adapters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright.checkpoints.hub import resolve


@dataclass(frozen=True)
class Reference:
    """A model as a recipe names it: path or hub id, with a revision, with an adapter."""

    path: str
    revision: str | None = None
    lora: str | None = None

    @staticmethod
    def parse(text: str) -> Reference:
        """PATH[@REVISION][+LORA]; what exists under the whole text is a path.

        Raises:
            ValueError: more than one '+', or more than one '@' in a part.
        """
        if Path(text).expanduser().exists():
            return Reference(text)
        model, plus, lora = text.partition("+")
        path, at, revision = model.partition("@")
        if "+" in lora or "@" in revision or lora.count("@") > 1:
            raise ValueError(
                f"model is '{text}', expected PATH[@REVISION][+LORA[@REVISION]], one '+' only"
            )
        if not path or (at and not revision) or (plus and not lora):
            raise ValueError(
                f"model is '{text}', expected a path or a hub id before and after signs"
            )
        return Reference(path, revision or None, lora or None)


def reference_text(value: Mapping[str, Any], where: str) -> str:
    """`{model: {path, revision}, lora: …}` as the text it stands for."""
    unknown = set(value) - {"model", "lora", "path", "revision", "override_architecture"}
    if unknown:
        raise ValueError(f"{where}: unknown key '{sorted(unknown)[0]}', expected model and lora")
    if value.get("override_architecture"):
        raise ValueError(
            f"{where}: override_architecture is not needed: tensors are matched by their names"
        )

    def text(part: Any) -> str:
        if isinstance(part, str):
            return part
        if not isinstance(part, Mapping) or not isinstance(part.get("path"), str):
            raise ValueError(f"{where} is {part!r}, expected a path, or {{path, revision}}")
        revision = part.get("revision")
        return part["path"] + (f"@{revision}" if revision else "")

    lora = value.get("lora")
    return text(value.get("model", value)) + (f"+{text(lora)}" if lora else "")


def model_text(value: Any, where: str) -> str:
    """A model as a text, PATH[@REVISION][+LORA], of a text, a path or a mapping.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, Mapping):
        return reference_text(value, where)
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{where} is {value!r}, expected a path or a hub id")
    return os.fspath(value)


def located(name: str) -> Path | tuple[Path, Path]:
    """Where a model lies, or a model and its adapter.

    Raises:
        FileNotFoundError, ValueError: as `hub.resolve`.
    """
    reference = Reference.parse(name)
    path = resolve(reference.path, reference.revision)
    if reference.lora is None:
        return path
    lora, _, revision = reference.lora.partition("@")
    adapter = resolve(lora, revision or None)
    if not (adapter / "adapter_config.json").is_file():
        raise FileNotFoundError(f"'{lora}' has no adapter_config.json, expected a PEFT adapter")
    return path, adapter
