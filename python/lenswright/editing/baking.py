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
    from lenswright.editing.committing import Committed
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.report import Report


SWALLOWED = "of these as before, the change being less than their rounding"


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
    dequantised: tuple[str, int] | None = None  # as in Committed


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


def bake(
    model: Model,
    edit: Edit,
    folder: Path | None,
    rows: Sequence[Sequence[int]],
    journal: bool = False,
    measured: Report | None = None,
) -> Baked:
    """Apply, commit and revert an edit, and compare every way to its numbers.

    Args:
        model: unedited; it is so again afterwards.
        folder: to write; must not exist. None: the model's own, in place.
        rows: token ids to compare logits on.
        journal: keep what `edits.revert` needs, as in `Edit.commit`.
        measured: what was measured of it, as in `Edit.commit`.

    Returns:
        `.differences`: the largest relative difference of logits of each pair of ways. Tried and
        applied may differ by one rounding to the stored type (`one_rounding`), applied and
        committed not at all.

    Raises:
        FileExistsError: the folder exists.
        ValueError: logits are not finite with the edit in force; nothing is written then.
    """
    import lenswright

    before = model.parameters()
    before_hashes = _hashes(model)
    with model.edited(edit):
        tried = _ours(model, rows)
    if not all(bool(torch.isfinite(one).all()) for one in tried):
        raise ValueError(
            "logits are no numbers with the edit in force, so nothing was written; expected a "
            "smaller strength"
        )
    done = edit.commit(
        model.folder, folder, journal=journal, in_place=folder is None, measured=measured
    )
    folder = done.folder
    edit.apply(model)
    try:
        applied, applied_hashes = _ours(model, rows), _hashes(model)
        table = findings.writers(model, edit, before)
    finally:
        edit.revert(model)
    committed = lenswright.load(folder, dtype=model.cfg.dtype)
    written, written_hashes = _ours(committed, rows), _hashes(committed)
    touched = set(done.changed)
    stored = committed.parameters()
    demands = {
        "tried, applied": one_rounding(stored, touched),
        # What the edit leaves alone is rounded too where it was quantised.
        "applied, committed": one_rounding(stored, stored) if done.dequantised else 0.0,
        "committed, transformers": 1e-5,
    }
    differences = {
        "tried, applied": max(map(relative, tried, applied)),
        "applied, committed": max(map(relative, written, applied)),
    }
    if importlib.util.find_spec("transformers") is not None:
        reference = _transformers_logits(folder, rows, model.cfg.dtype)
        differences["committed, transformers"] = max(map(relative, written, reference))
    packed = {part for _, *parts in model.core.quantised().values() for part in parts}
    kept = before_hashes.keys() - touched - packed
    hashes = {name: before_hashes[name] for name in sorted(touched)[:1] if name in before_hashes}
    return Baked(
        folder,
        {
            "comparisons": [
                _comparison(pair, figure, demands[pair]) for pair, figure in differences.items()
            ],
            "measure": "largest relative difference of logits",
            "hashes": {f"{name}, before": value for name, value in hashes.items()}
            | {f"{name}, after": written_hashes[name] for name in hashes},
            "facts": _facts(done, folder, len(written_hashes)),
        },
        table,
        _hashes(model) == before_hashes,
        all(applied_hashes.get(n) == written_hashes[n] for n in (touched | kept))
        and (bool(packed) or applied_hashes.keys() == written_hashes.keys()),
        all(written_hashes[n] == before_hashes[n] for n in kept),
        differences,
        done.dequantised,
    )


def _facts(done: Committed, folder: Path, tensors: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"folder": folder.name, "tensors rewritten": len(done.changed)}
    if done.swallowed:
        facts[SWALLOWED] = len(done.swallowed)
    if done.journal is not None:
        facts["bytes of the journal"] = done.journal[1]
    if done.dequantised is None:
        return facts | {"tensors carried over": tensors - len(done.changed)}
    form, count = done.dequantised
    return facts | {f"tensors written in BF16 that were {form}": count}


def _comparison(pair: str, difference: float, demand: float) -> dict[str, Any]:
    left, right = pair.split(", ")
    return {"left": left, "right": right, "difference": difference, "demand": demand}
