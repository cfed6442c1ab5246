"""Aligning a model to another, written as a checkpoint that computes the same as before."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.alignment.matching import Matching, reordered
from lenswright.merging.alignment.places import Sizes, axes_of
from lenswright.merging.assembling import RECORD, checked_target
from lenswright.nearest import did_you_mean
from lenswright.progress import Progress

PARTS = ("mlp", "heads", "residual")


@dataclass
class Alignment:
    """A model that was brought into another's order.

    moved: of each part, the share of its units that changed places. before, after: |model -
    reference| / |reference| over all tensors. rounds: of coordinate descent.
    """

    folder: Path
    moved: dict[str, float]
    before: float
    after: float
    rounds: int

    def text(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {share:.1%}" for name, share in self.moved.items())
        return (
            f"moved: {parts}; {self.rounds} rounds\n|model - reference| / |reference|: "
            f"{self.before:.6g} before, {self.after:.6g} after\nwrote {self.folder}"
        )

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return vars(self) | {"folder": str(self.folder)}


def align(
    model: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    output: str | os.PathLike[str],
    parts: Sequence[str] = PARTS,
    *,
    progress: bool = True,
) -> Alignment:
    """Write a model with its units in the order that brings its weights nearest to a reference's.

    The result computes what the model computed; merged with the reference afterwards, units meet
    those that are like them. One tensor of each model is worked at a time, in float64.

    Args:
        model: folder or hub id of the model to reorder: llama, mistral, qwen2 or qwen3.
        reference: one of the same shapes.
        output: a folder that does not exist; it appears whole or not at all.
        parts: "mlp" (neurons), "heads" (groups of keys and values, and queries within each) and
            "residual" (the coordinates of the stream).
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: an unknown part or family; tensors that differ in name or shape, of unknown
            place, or of types that are no plain floating point.
        FileNotFoundError, CheckpointError: as Checkpoint does. FileExistsError: the output exists.

    Source: Ainsworth, Hayase and Srinivasa 2023, Git Re-Basin, arXiv:2209.04836.
    """
    for part in parts:
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f", expected {', '.join(PARTS)}"
            raise ValueError(f"parts has '{part}'{hint}")
    if not parts:
        raise ValueError(f"parts is empty, expected some of {', '.join(PARTS)}")
    target = checked_target(output)
    own, other = Checkpoint(model), Checkpoint(reference)
    sizes, layers = _checked(own, other)
    work = Matching(own, other, sizes, layers, parts)
    with Progress("matching", layers, "layers", progress) as bar:
        orders = work.run(bar)
    before, after = (_distance(own, other, given) for given in ({}, orders))
    moved = {part: _moved(part, orders) for part in PARTS if part in parts}
    done = Alignment(target, moved, before, after, work.rounds)
    told = {"align": {"model": str(model), "reference": str(reference)}} | {
        key: value for key, value in done.to_json().items() if key != "folder"
    }
    record = json.dumps({"format": "lenswright record 1", "steps": [told]}, indent=2) + "\n"
    _write(own, orders, target, record, progress)
    return done


def _checked(model: Checkpoint, reference: Checkpoint) -> tuple[Sizes, int]:
    config = model.config or {}
    sizes = Sizes.of(config)
    if Sizes.of(reference.config or {}) != sizes:
        raise ValueError(f"'{model.path}' and '{reference.path}' have other heads")
    for name in {*model, *reference}:
        for one, other in ((model, reference), (reference, model)):
            if name not in one:
                raise ValueError(f"'{one.path}' has no tensor '{name}', '{other.path}' has")
            if one.info(name).dtype not in ("F64", "F32", "F16", "BF16"):
                raise ValueError(
                    f"tensor '{name}' of '{one.path}' is {one.info(name).dtype}, expected plain "
                    "floating-point weights"
                )
        shapes = [list(file.info(name).shape) for file in (model, reference)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"tensor '{name}' is {shapes[0]} in one model, {shapes[1]} in another")
        axes_of(name)
    return sizes, int(config["num_hidden_layers"])


def _distance(model: Checkpoint, reference: Checkpoint, orders: dict[str, torch.Tensor]) -> float:
    apart = whole = 0.0
    for name in model:
        other = reference[name].double()
        apart += float((reordered(model[name].double(), name, orders) - other).square().sum())
        whole += float(other.square().sum())
    return float((apart / whole) ** 0.5) if whole else 0.0


def _moved(part: str, orders: dict[str, torch.Tensor]) -> float:
    kinds = {"mlp": ("mlp",), "heads": ("key", "query"), "residual": ("residual",)}[part]
    found = [o for axis, o in orders.items() if axis.rpartition(".")[2] in kinds]
    count = sum(len(o) for o in found)
    return sum(int((o != torch.arange(len(o))).sum()) for o in found) / count if count else 0.0


def _write(
    model: Checkpoint, orders: dict[str, torch.Tensor], target: Path, record: str, progress: bool
) -> None:
    """Every shard as it was, tensors reordered one by one."""
    total = sum(info.nbytes for info in model.tensors())
    with _files.FolderWriter(target, [model.path]) as out:
        with Progress("writing", total, "bytes", progress) as bar:
            for shard in model.shards:
                header = model.header(shard)
                specs = [(t.name, t.dtype, list(t.shape)) for t in header.tensors]
                file = out.shard(shard, specs, header.metadata)
                for info in header.tensors:
                    value = reordered(model[info.name], info.name, orders).contiguous()
                    room = (ctypes.c_char * info.nbytes).from_address(value.data_ptr())
                    file.write(info.name, 0, room)
                    bar.step(info.nbytes)
        if len(model.shards) > 1:
            out.write_index()
        out.write_text("config.json", json.dumps(model.config, indent=2) + "\n")
        out.write_text(RECORD, record)
        for name in model.other_files:
            if name not in (RECORD, "config.json", "model.safetensors.index.json"):
                out.copy_file(model.folder / name, name)
        out.commit()
