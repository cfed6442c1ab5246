"""That what was tried is what is written: trial, applied weights, folder, transformers."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import findings

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.model import Model


@dataclass
class Baked:
    """What a commit wrote, and how far apart the ways to the same numbers lie."""

    folder: Path
    equivalence: dict[str, Any]
    writers: list[dict[str, Any]]
    hashes_restored: bool
    bytes_equal: bool
    untouched_equal: bool
    differences: dict[str, float] = field(default_factory=dict)


def sha256(tensor: torch.Tensor) -> str:
    """SHA-256 of a tensor's bytes."""
    flat = tensor.detach().contiguous().cpu().flatten().view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()


def one_rounding(stored: Mapping[str, torch.Tensor], changed: Iterable[str]) -> float:
    """How far logits may move when changed tensors are rounded once to their stored types.

    1e-5 for float32 and wider; for narrower types four units of the last place.
    """
    return max([1e-5, *(4 * torch.finfo(stored[n].dtype).eps for n in changed if n in stored)])


def _hashes(model: Model) -> dict[str, str]:
    return {name: sha256(value) for name, value in model.parameters().items()}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """max |a - b| / max |b|."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max())


def _transformers_logits(folder: Path, rows: Sequence[Sequence[int]], dtype: torch.dtype) -> Any:
    from lenswright.reference import Reference

    model = Reference(folder, dtype).model
    with torch.no_grad():
        return [model(torch.tensor([list(row)])).logits[0] for row in rows]


def _ours(model: Model, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    with torch.no_grad():
        return [model(torch.tensor([list(row)]))[0] for row in rows]


def bake(model: Model, edit: Edit, folder: Path, rows: Sequence[Sequence[int]]) -> Baked:
    """Apply, commit and revert an edit, and compare every way to its numbers.

    Args:
        model: unedited; it is so again afterwards.
        folder: to write; must not exist.
        rows: token ids to compare logits on.

    Returns:
        `.differences`: the largest relative difference of logits of each pair of ways. Tried and
        applied may differ by one rounding to the stored type (`one_rounding`), applied and
        committed not at all.

    Raises:
        FileExistsError: the folder exists.
    """
    import lenswright

    before = model.parameters()
    before_hashes = _hashes(model)
    with model.edited(edit):
        tried = _ours(model, rows)
    done = edit.commit(model.folder, folder)
    edit.apply(model)
    try:
        applied, applied_hashes = _ours(model, rows), _hashes(model)
        table = findings.writers(model, edit, before)
    finally:
        edit.revert(model)
    committed = lenswright.load(folder, dtype=model.cfg.dtype)
    written, written_hashes = _ours(committed, rows), _hashes(committed)
    touched = set(done.changed)
    differences = {
        "tried, applied": max(map(relative, tried, applied)),
        "applied, committed": max(map(relative, written, applied)),
    }
    comparisons = [
        _comparison(
            "tried", "applied", differences["tried, applied"], one_rounding(before, touched)
        ),
        _comparison("applied", "committed", differences["applied, committed"], 0.0),
    ]
    if importlib.util.find_spec("transformers") is not None:
        reference = _transformers_logits(folder, rows, model.cfg.dtype)
        differences["committed, transformers"] = max(map(relative, written, reference))
        comparisons.append(
            _comparison("committed", "transformers", differences["committed, transformers"], 1e-5)
        )
    hashes = {name: before_hashes[name] for name in sorted(touched)[:1] if name in before_hashes}
    return Baked(
        folder,
        {
            "comparisons": comparisons,
            "measure": "largest relative difference of logits",
            "hashes": {f"{name}, before": value for name, value in hashes.items()}
            | {f"{name}, after": written_hashes[name] for name in hashes},
            "facts": {
                "folder": folder.name,
                "tensors rewritten": len(touched),
                "tensors carried over": len(written_hashes) - len(touched),
            },
        },
        table,
        _hashes(model) == before_hashes,
        applied_hashes == written_hashes,
        all(written_hashes[n] == h for n, h in before_hashes.items() if n not in touched),
        differences,
    )


def _comparison(left: str, right: str, difference: float, demand: float) -> dict[str, Any]:
    return {"left": left, "right": right, "difference": difference, "demand": demand}
