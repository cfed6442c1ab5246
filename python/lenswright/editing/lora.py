"""Edits as PEFT LoRA adapters: exact where an edit is of low rank."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.checkpoints.module_names import ModuleNames
from lenswright.editing.adapter_file import (
    Change,
    adapter_config,
    adapter_tensors,
    save_adapter,
)
from lenswright.findings import matrix_of

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model

_TABLES = ("token_embedding", "positional_embedding")
_NO_MODULES = {
    "expert": "experts are parameters of their mixture in transformers, not modules",
    "embedding_norm": "the bias of a norm is not a matrix",
}


@dataclass(frozen=True)
class Adapter:
    """An adapter that was written.

    ranks: by module. errors: of modules whose change was truncated, |what is missing| / |change|.
    """

    folder: Path
    ranks: dict[str, int]
    errors: dict[str, float] = field(default_factory=dict)


def write_adapter(
    edit: Edit, folder: str | os.PathLike[str], model: Model, truncate: int | None
) -> Adapter:
    """See `Edit.to_lora`."""
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"adapter folder {folder} exists; expected a new one")
    if truncate is not None and truncate < 1:
        raise ValueError(f"truncate is {truncate}, expected a rank of at least 1")
    if edit.rows:
        raise ValueError(f"the edit is {edit.rows} edits, one for each row; expected edit.row(i)")
    changes, errors = _changes(edit, model, truncate)
    _check_biases(changes)
    ranks = {change.module: change.rank for change in changes}
    save_adapter(folder, adapter_tensors(changes), adapter_config(changes, str(model.folder)))
    return Adapter(folder, ranks, errors)


def _changes(
    edit: Edit, model: Model, truncate: int | None
) -> tuple[list[Change], dict[str, float]]:
    sites = {site["name"]: site for site in model.writers()}
    factors = edit.factors()
    full = [name for name, own in factors.items() if "S" in own or "C" in own]
    if full and truncate is None:
        scaled = "outputs" if "S" in factors[full[0]] else "inputs"
        raise ValueError(
            f"the edit of '{full[0]}' scales its {scaled}, a change of full rank, which no adapter "
            "of low rank is; expected truncate=RANK, or edit.commit"
        )
    exact = [name for name in factors if name not in full]
    low = _core.low_rank(model.core, edit.restrict(exact).native) if exact else {}
    lines = {line["writer"]: line for line in edit.describe()}
    mixture = any(site["kind"] == "expert" for site in sites.values())
    stored = model.parameters()
    names = ModuleNames(model)
    changes, errors = [], {}
    for name, own in factors.items():
        site = sites[name]
        _check_module(site, lines[name]["what"], mixture)
        if name in full:
            assert truncate is not None
            parts, errors[names.of(site)] = _truncated(stored, site, own, truncate)
        else:
            pair = low.get(name)
            width = matrix_of(stored[site["weight"]], site).shape
            parts = (
                (torch.zeros(width[0], 1), torch.zeros(width[1], 1))
                if pair is None
                else (pair[0].t(), pair[1].t())
            )
        table = site["kind"] in _TABLES
        bias = _bias_change(stored, site, own)
        transposed = not table and site["residual_axis"] == 1
        changes.append(Change(names.of(site), table, *parts, bias, bool(site["bias"]), transposed))
    return changes, errors


def _check_module(site: Mapping[str, Any], what: str, mixture: bool) -> None:
    why = _NO_MODULES.get(site["kind"])
    if mixture and site["kind"] in ("mlp", "shared_expert"):
        why = "in a mixture peft takes modules of that name for experts"
    if "untied" in what:
        why = "its tensor is the unembedding's too, which only a commit unties"
    if why is not None:
        raise ValueError(
            f"'{site['name']}' cannot be changed by an adapter: {why}; expected edit.restrict(...) "
            "to other writers, or edit.commit"
        )


def _truncated(
    stored: Mapping[str, torch.Tensor],
    site: Mapping[str, Any],
    own: Mapping[str, torch.Tensor],
    rank: int,
) -> tuple[tuple[torch.Tensor, torch.Tensor], float]:
    """The best change of a rank (Eckart and Young), and how much of the change it lacks."""
    w = matrix_of(stored[site["weight"]], site)
    change = _dense(w, own) - w
    _, vectors = torch.linalg.eigh(change @ change.t())
    out = vectors[:, -rank:]
    inputs = change.t() @ out
    missing = (change - out @ inputs.t()).norm() / change.norm()
    return (out, inputs), float(missing)


def _dense(w: torch.Tensor, own: Mapping[str, torch.Tensor]) -> torch.Tensor:
    if "U" in own:
        w = w - own["U"].t() @ (own["V"] @ w)
    if "S" in own:
        w = own["S"][:, None] * w
    if "C" in own:
        w = w * own["C"]
    return w + own["A"].t() @ own["B"] if "A" in own else w


def _bias_change(
    stored: Mapping[str, torch.Tensor], site: Mapping[str, Any], own: Mapping[str, torch.Tensor]
) -> torch.Tensor | None:
    if not site["bias"] or not {"S", "U", "shift"} & set(own):
        return None
    b = stored[site["bias"]].double()
    left = {name: own[name] for name in "SUV" if name in own}
    changed = _dense(b[:, None], left)[:, 0]
    return changed + own.get("shift", torch.zeros_like(b)) - b


def _check_biases(changes: list[Change]) -> None:
    changed = [change for change in changes if change.bias is not None]
    without = [change for change in changes if change.table or not change.biased]
    if changed and without:
        raise ValueError(
            f"the edit changes the bias of '{changed[0].module}', and an adapter with biases "
            f"cannot hold '{without[0].module}', which has none; expected edit.restrict(...) to "
            "one or the other, or edit.commit"
        )
