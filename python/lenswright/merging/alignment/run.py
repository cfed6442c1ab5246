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
from lenswright.merging.alignment.axes import PARTS, part_of
from lenswright.merging.alignment.matching import Matching
from lenswright.merging.alignment.orders import Orders, in_order, reordered
from lenswright.merging.alignment.places import Places
from lenswright.merging.assembling import RECORD, checked_target
from lenswright.nearest import did_you_mean
from lenswright.progress import Progress


@dataclass
class Alignment:
    """A model that was brought into another's order.

    moved: of each part, the share of its units that changed places. kept: parts that were left as
    they are because nothing of them may move, and why. before, after: |model - reference| /
    |reference| over the decoder's weights. rounds: of coordinate descent.
    """

    folder: Path
    moved: dict[str, float]
    kept: dict[str, str]
    before: float
    after: float
    rounds: int

    def text(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {share:.1%}" for name, share in self.moved.items())
        kept = "".join(f"\nkept {name}: {why}" for name, why in self.kept.items())
        return (
            f"moved: {parts}; {self.rounds} rounds{kept}\n|model - reference| / |reference|: "
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
    parts: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> Alignment:
    """Write a model with its units in the order that brings its weights nearest to a reference's.

    The result computes what the model computed; merged with the reference afterwards, units meet
    those that are like them. One weight of each model is worked at a time, in float64.

    Args:
        model: folder or hub id of the model to reorder, of any family that can be loaded.
        reference: one of the same family and shapes.
        output: a folder that does not exist; it appears whole or not at all.
        parts: "mlp" (neurons, each expert's own, too), "heads" (groups of keys and values, and
            queries within each), "experts" (by their rows of the router, within its groups),
            "latents" (of latent attention) and "residual" (the coordinates of the stream). None:
            all that the model has and that may move; `kept` says which may not, and why.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: an unknown part or family; a part that the model has not, or that may not move;
            tensors that differ in name or shape, of unknown place, or of types that are no plain
            floating point.
        FileNotFoundError, CheckpointError: as Checkpoint does. FileExistsError: the output exists.

    Source: Ainsworth, Hayase and Srinivasa 2023, Git Re-Basin, arXiv:2209.04836.
    """
    for part in parts or ():
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f", expected {', '.join(PARTS)}"
            raise ValueError(f"parts has '{part}'{hint}")
    if parts is not None and not parts:
        raise ValueError(f"parts is empty, expected some of {', '.join(PARTS)}")
    target = checked_target(output)
    own, other = Checkpoint(model), Checkpoint(reference)
    places = _checked(own, other)
    chosen, kept = _chosen(places, parts)
    work = Matching(own, other, places, chosen)
    with Progress("matching", places.sizes["n_layers"], "layers", progress) as bar:
        orders = work.run(bar)
    before, after = (_distance(own, other, places, given) for given in ({}, orders))
    moved = {part: _moved(part, orders) for part in chosen}
    done = Alignment(target, moved, kept, before, after, work.rounds)
    told = {"align": {"model": str(model), "reference": str(reference)}} | {
        key: value for key, value in done.to_json().items() if key != "folder"
    }
    record = json.dumps({"format": "lenswright record 1", "steps": [told]}, indent=2) + "\n"
    _write(own, places, orders, target, record, progress)
    return done


def _chosen(places: Places, parts: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """The parts to move, in the order of PARTS; those that all were asked of and may not."""
    there = {part_of(axis) for axis in places.along}
    fixed = {part: why for part, why in places.impossible().items() if part in there}
    for part in parts or ():
        if part in fixed:
            raise ValueError(f"parts has '{part}', which may not move: {fixed[part]}")
        if part not in there:
            has = ", ".join(one for one in PARTS if one in there)
            raise ValueError(f"parts has '{part}', of which family {places.family} has {has} only")
    chosen = [p for p in PARTS if (p in there and p not in fixed if parts is None else p in parts)]
    return chosen, fixed if parts is None else {}


def _places(file: Checkpoint) -> Places:
    if quantised := _files.quantised_tensors(file.native):
        raise ValueError(
            f"tensor '{min(quantised)}' of '{file.path}' is quantised, expected plain "
            "floating-point weights"
        )
    return Places.of(file.config, {info.name: list(info.shape) for info in file.tensors()})


def _checked(model: Checkpoint, reference: Checkpoint) -> Places:
    places, others = _places(model), _places(reference)
    if places.family != others.family:
        raise ValueError(
            f"'{model.path}' is of family {places.family}, '{reference.path}' of {others.family}; "
            "expected the same"
        )
    for name in sorted({*places.by_name} ^ {*others.by_name}):
        has, lacks = (model, reference) if name in places.by_name else (reference, model)
        source = (places.by_name | others.by_name)[name].source
        raise ValueError(f"'{lacks.path}' has no tensor '{source}', '{has.path}' has")
    for name, place in places.by_name.items():
        source = place.source
        shapes = [list(file.info(source).shape) for file in (model, reference)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"tensor '{source}' is {shapes[0]} in one model, {shapes[1]} in another"
            )
        if place != others.by_name[name]:
            raise ValueError(f"'{model.path}' and '{reference.path}' have other heads or layouts")
        for file in (model, reference):
            if file.info(source).dtype not in ("F64", "F32", "F16", "BF16"):
                raise ValueError(
                    f"tensor '{source}' of '{file.path}' is {file.info(source).dtype}, expected "
                    "plain floating-point weights"
                )
    if places.sizes != others.sizes:
        raise ValueError(f"'{model.path}' and '{reference.path}' have other heads")
    return places


def _distance(model: Checkpoint, reference: Checkpoint, places: Places, orders: Orders) -> float:
    apart = whole = 0.0
    for place in places.by_name.values():
        other = place.read(reference[place.source]).double()
        own = in_order(model, places, place, orders).double()
        apart += float((own - other).square().sum())
        whole += float(other.square().sum())
    return float((apart / whole) ** 0.5) if whole else 0.0


def _moved(part: str, orders: Orders) -> float:
    found = [order for axis, order in orders.items() if part_of(axis) == part]
    count = sum(len(o) for o in found)
    return sum(int((o != torch.arange(len(o))).sum()) for o in found) / count if count else 0.0


def _write(
    model: Checkpoint, places: Places, orders: Orders, target: Path, record: str, progress: bool
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
                    value = reordered(model, places, info.name, orders).contiguous()
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
