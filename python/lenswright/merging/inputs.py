"""What a recipe's names stand for: folders, adapters on them, stages, models in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.checkpoints.checkpoint import TORCH, Checkpoint
from lenswright.merging import recipes, vocabularies
from lenswright.merging.references import located
from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    import torch

File = tuple[str, str | bytes]
Found = tuple[str, Any]  # name; path, (path, adapter), plan of a stage, or (tensors, config.json)


def find(
    names: Sequence[str], stages: Mapping[str, Any], models: Mapping[str, Any]
) -> tuple[list[Found], dict[str, Path]]:
    """What each name stands for, and the folder of tokenizers and other files where it has one.

    Raises:
        ValueError: a name of `models` that no recipe names; a model that is none.
        FileNotFoundError: a model that is not there.
    """
    found: list[Found] = []
    folders: dict[str, Path] = {}
    for name in names:
        if name in models:
            found.append((name, live_input(models[name])))
            folder = getattr(models[name], "folder", None)
        else:
            place = stages[name] if name and name in stages else _place(name, stages)
            found.append((name, place))
            folder = place[0] if isinstance(place, tuple) else place
        if isinstance(folder, Path) and folder.is_dir():
            folders[name] = folder
    return found, folders


def _place(name: str, stages: Mapping[str, Any]) -> Path | tuple[Path, Path]:
    try:
        return located(name)
    except FileNotFoundError as error:
        if near := did_you_mean(name, [stage for stage in stages if stage]):
            raise FileNotFoundError(
                f"model '{name}' is no stage and no checkpoint{near}"
            ) from error
        raise


def live_input(model: Any) -> tuple[list[tuple[str, str, list[int], Any]], str]:
    """The tensors of a model in memory under its checkpoint's names, and its config.json.

    Args:
        model: a `Model` (with the edits applied to it) or a model of `transformers`.

    Raises:
        ValueError: neither.
    """
    tensors = live_tensors(model)
    return [buffer(name, value) for name, value in tensors.items()], _config(model)


def live_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The tensors of a model in memory by their checkpoint's names.

    Raises:
        ValueError: neither a `Model` nor one of `transformers`.
    """
    if hasattr(model, "core") and hasattr(model, "parameters"):
        own = dict(model.parameters())
        # in the order of the files, so that what is written is the same file
        order = {name: own[name] for name in _stored(model.folder) if name in own}
        return order | own
    if not (hasattr(model, "state_dict") and hasattr(model, "config")):
        raise ValueError(
            f"models has a {type(model).__name__}, expected a lenswright.Model or a model of "
            "transformers"
        )
    tensors: dict[str, torch.Tensor] = {}
    places: set[tuple[int, tuple[int, ...]]] = set()
    for name, value in model.state_dict().items():
        # tied tensors are one: files hold the first
        place = value.data_ptr(), tuple(value.shape)
        if value.numel() and place in places:
            continue
        places.add(place)
        tensors[name] = value
    return tensors


def _stored(folder: Path) -> list[str]:
    return Checkpoint(folder).keys() if (folder / "config.json").is_file() else []


def _config(model: Any) -> str:
    if not hasattr(model, "core"):
        config = model.config.to_dict() | {"architectures": [type(model).__name__]}
        return json.dumps(config, default=str)
    if model.own_config:
        return str(model.own_config)
    if model.live is not None:
        return _config(model.live)
    return str(Checkpoint(model.folder).native.config_text())


def buffer(name: str, value: torch.Tensor) -> tuple[str, str, list[int], Any]:
    """(name, type, shape, bytes) of a tensor, as plans take it."""
    import torch

    wire = {torch_name: wire for wire, torch_name in TORCH.items()}
    value = value.detach().cpu().contiguous()
    data = value.flatten().view(torch.uint8) if value.numel() else torch.empty(0, dtype=torch.uint8)
    return name, wire[str(value.dtype).removeprefix("torch.")], list(value.shape), data.numpy()


def tensor(dtype: str, shape: Sequence[int], data: bytearray) -> torch.Tensor:
    """The tensor of a type, a shape and bytes, which it shares."""
    import torch

    kind = getattr(torch, TORCH[dtype])
    if not data:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data, dtype=torch.uint8).view(kind).view(tuple(shape))


def vocabulary(
    document: recipes.Document, inputs: Sequence[Found], folders: Mapping[str, Path], mode: str
) -> tuple[str, list[File], list[str]]:
    """Which rows of each embedding are which of the result's, the tokenizer's files, and what was
    decided."""
    section = document.data.get("tokenizer")
    if document.data.get("tokenizer_source"):
        section = {"source": document.data["tokenizer_source"]}
    if not section:
        return "", [], []
    for name, _ in inputs:
        if name not in folders:
            raise ValueError(f"{document.where}: tokenizer: '{name}' is no folder with a tokenizer")
    rows, files, notes = vocabularies.plan(section, folders, document.data.get("base_model"), mode)
    return rows, list(files), notes


def beside(folder: Path) -> list[File]:
    """The small files that go with a live model's weights: those of the folder it came from."""
    checkpoint = Checkpoint(folder)
    return [(name, (folder / name).read_bytes()) for name in checkpoint.other_files]
