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
from lenswright.editing.adapter_parameters import (
    Experts,
    ParameterChange,
    bias_change,
    matrix_change,
    nested,
)
from lenswright.findings import matrix_of

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model

_TABLES = ("token_embedding", "positional_embedding")
_NO_MODULES = {
    "embedding_norm": "the bias of a norm is not a matrix",
}


@dataclass(frozen=True)
class Adapter:
    """An adapter that was written.

    ranks: by module, in mixtures by parameter. errors: of those whose change was truncated,
    |what is missing| / |change|.
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
    found = _Changes(edit, model, truncate)
    config = adapter_config(found.modules, str(model.folder), (), found.parameters)
    factors = adapter_tensors(found.modules, found.parameters)
    save_adapter(folder, factors, config, edit.bases)
    ranks = {change.module: change.rank for change in found.modules}
    ranks |= {one.parameter: one.rank for one in found.parameters}
    return Adapter(folder, ranks, found.errors)


class _Changes:
    """What an edit changes, sorted by how an adapter can hold it."""

    def __init__(self, edit: Edit, model: Model, truncate: int | None) -> None:
        self.model, self.truncate = model, truncate
        self.sites = {site["name"]: site for site in model.writers()}
        self.factors = edit.factors()
        self.mixture = any(site["kind"] == "expert" for site in self.sites.values())
        self.stored = model.parameters()
        self.modules: list[Change] = []
        self.parameters: list[ParameterChange] = []
        self.errors: dict[str, float] = {}
        self.low = self._low_rank(edit)
        lines = {line["writer"]: line for line in edit.describe()}
        for name in self.factors:
            _check_module(self.sites[name], lines[name]["what"])
        self._experts()
        self._others()
        ranks = [change.rank for change in self.modules]
        self.parameters = nested(self.parameters, max(ranks, default=1))
        _check_biases(self.modules, self.parameters)

    def _low_rank(self, edit: Edit) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        full = [name for name, own in self.factors.items() if "S" in own or "C" in own]
        if full and self.truncate is None:
            scaled = "outputs" if "S" in self.factors[full[0]] else "inputs"
            raise ValueError(
                f"the edit of '{full[0]}' scales its {scaled}, a change of full rank, which no "
                "adapter of low rank is; expected truncate=RANK, or edit.commit"
            )
        exact = [name for name in self.factors if name not in full]
        return _core.low_rank(self.model.core, edit.restrict(exact).native) if exact else {}

    def _parts(self, name: str, place: str) -> tuple[torch.Tensor, torch.Tensor]:
        site, own = self.sites[name], self.factors[name]
        if "S" in own or "C" in own:
            assert self.truncate is not None
            parts, error = _truncated(self.stored, site, own, self.truncate)
            self.errors[place] = max(error, self.errors.get(place, 0.0))
            return parts
        pair = self.low.get(name)
        if pair is not None:
            return pair[0].t(), pair[1].t()
        width = matrix_of(self.stored[site["weight"]], site).shape
        return torch.zeros(width[0], 1), torch.zeros(width[1], 1)

    def _experts(self) -> None:
        layers: dict[int, list[str]] = {}
        for name in self.factors:
            if self.sites[name]["kind"] == "expert":
                layers.setdefault(self.sites[name]["layer"], []).append(name)
        experts = Experts(self.model) if layers else None
        for names in layers.values():
            assert experts is not None
            site = self.sites[names[0]]
            place = experts.parameter(site)
            parts = {self.sites[name]["expert"]: self._parts(name, place) for name in names}
            weight = experts.change(site, parts)
            self.parameters.append(weight)
            biases = {
                self.sites[name]["expert"]: change
                for name in names
                if (change := _bias_change(self.stored, self.sites[name], self.factors[name]))
                is not None
            }
            if biases:
                self.parameters.append(bias_change(weight, biases))

    def _others(self) -> None:
        names = ModuleNames(self.model)
        for name, own in self.factors.items():
            site = self.sites[name]
            if site["kind"] == "expert":
                continue
            module = names.of(site)
            parts, bias = self._parts(name, module), _bias_change(self.stored, site, own)
            # In a mixture PEFT takes modules of that name for experts, but not parameters.
            if self.mixture and site["kind"] in ("mlp", "shared_expert") and bias is None:
                self.parameters.append(matrix_change(module, *parts))
                continue
            table = site["kind"] in _TABLES
            transposed = not table and site["residual_axis"] == 1
            self.modules.append(Change(module, table, *parts, bias, bool(site["bias"]), transposed))


def _check_module(site: Mapping[str, Any], what: str) -> None:
    why = _NO_MODULES.get(site["kind"])
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
    b = b if b.dim() == 1 else b[site["slice"]]
    left = {name: own[name] for name in "SUV" if name in own}
    changed = _dense(b[:, None], left)[:, 0]
    return changed + own.get("shift", torch.zeros_like(b)) - b


def _check_biases(changes: list[Change], parameters: list[ParameterChange]) -> None:
    changed = [change for change in changes if change.bias is not None]
    without = [change.module for change in changes if change.table or not change.biased]
    without += [one.parameter for one in parameters]
    if changed and without:
        raise ValueError(
            f"the edit changes the bias of '{changed[0].module}', and an adapter with biases "
            f"cannot hold '{without[0]}', which has none; expected edit.restrict(...) to "
            "one or the other, or edit.commit"
        )
