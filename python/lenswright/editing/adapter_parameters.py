"""Adapters of parameters instead of modules: experts that `transformers` keeps in one tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.module_names import transformers_model

if TYPE_CHECKING:
    from lenswright.model import Model


@dataclass(frozen=True)
class ParameterChange:
    """PEFT's factors of a parameter's change, ΔW[e] = B[e] A[e] by its own count of axes.

    a: [experts · r, columns], expert by expert. b: [rows, r · experts], vector by vector. inside:
    how many wrappers of the same module stand around this one.
    """

    parameter: str
    a: torch.Tensor
    b: torch.Tensor
    rank: int
    inside: int = 0

    @property
    def prefix(self) -> str:
        """Where PEFT keeps the factors: those of a module's later parameters are the outer ones."""
        return self.parameter.rpartition(".")[0] + ".base_layer" * self.inside


class Experts:
    """The mixtures of a model as `transformers` holds them.

    Source: peft 0.21's `lora.ParamWrapper`, which reads [experts, out, in] where the module's
    `is_transposed` is not set and [experts, in, out] where it is.
    """

    def __init__(self, model: Model) -> None:
        self._model = transformers_model(model.folder)
        self._shapes: dict[str, list[int]] = {}
        if self._model is not None:
            self._shapes = {n: list(p.shape) for n, p in self._model.named_parameters()}

    def parameter(self, site: Mapping[str, Any]) -> str:
        """The tensor of all experts of a writer's layer; ValueError where there is no one such."""
        end = re.compile(rf"(^|\.)layers\.{site['layer']}\.(.+\.)?experts\.down_proj$")
        found = [name for name in self._shapes if end.search(name)]
        if len(found) != 1:
            why = "transformers is not installed or knows no such model" if not self._shapes else (
                f"transformers has {len(found)} parameters of experts in that layer"
            )  # fmt: skip
            raise ValueError(
                f"'{site['name']}' cannot be changed by an adapter: {why}; expected "
                "edit.restrict(...) to other writers, or edit.commit"
            )
        return found[0]

    def change(
        self, site: Mapping[str, Any], parts: Mapping[int, tuple[torch.Tensor, torch.Tensor]]
    ) -> ParameterChange:
        """Of one layer, from (out [d_model, r], in [inputs, r]) by expert; others stay."""
        name = self.parameter(site)
        count, *sides = self._shapes[name]
        transposed, turned = self._layout(site)
        rows, columns = reversed(sides) if transposed else sides
        rank = max(out.shape[1] for out, _ in parts.values())
        a = torch.zeros(count, rank, columns, dtype=torch.float64)
        b = torch.zeros(rows, rank, count, dtype=torch.float64)
        for expert, (out, inputs) in parts.items():
            left, right = (inputs, out) if turned else (out, inputs)
            a[expert, : right.shape[1]] = right.t()
            b[:, : left.shape[1], expert] = left
        return ParameterChange(name, a.flatten(0, 1), b.flatten(1), rank)

    def _layout(self, site: Mapping[str, Any]) -> tuple[bool, bool]:
        """Whether the module says that it keeps [in, out], and whether it does without saying so:
        to PEFT such a parameter is W transposed.
        """
        assert self._model is not None
        module = self._model.get_submodule(self.parameter(site).rpartition(".")[0])
        transposed = bool(getattr(module, "is_transposed", False))
        return transposed, site["slice"] >= 0 and site["residual_axis"] == 1 and not transposed

    def parts(
        self, site: Mapping[str, Any], a: torch.Tensor, b: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(out [d_model, r], in [inputs, r]) of one expert, of what `change` made of them."""
        name = self.parameter(site)
        count, *sides = self._shapes[name]
        transposed, turned = self._layout(site)
        rows, columns = reversed(sides) if transposed else sides
        if a.shape[1] != columns or b.shape[0] != rows or a.shape[0] != b.shape[1]:
            raise ValueError(
                f"'{name}' has factors {list(a.shape)} and {list(b.shape)}, expected [experts · r, "
                f"{columns}] and [{rows}, r · experts]: the adapter is for another base"
            )
        left = b.unflatten(1, (-1, count))[:, :, site["expert"]]
        right = a.unflatten(0, (count, -1))[site["expert"]].t()
        return (right, left) if turned else (left, right)

    def wrappers(self, targets: Sequence[str]) -> dict[str, str]:
        """Where PEFT keeps the factors of its targets: the parameter of each name in the file."""
        named = [
            name for name in self._shapes
            if any(name == target or name.endswith(f".{target}") for target in targets)
        ]  # fmt: skip
        held = {}
        for index, name in enumerate(named):
            module = name.rpartition(".")[0]
            after = sum(other.rpartition(".")[0] == module for other in named[index + 1 :])
            held[module + ".base_layer" * after] = name
        return held


def bias_change(weight: ParameterChange, changes: Mapping[int, torch.Tensor]) -> ParameterChange:
    """Of the experts' biases [experts, d_model], kept beside their weight; exact."""
    count = weight.a.shape[0] // weight.rank
    width = next(iter(changes.values())).shape[0]
    whole = torch.zeros(count, width, dtype=torch.float64)
    for expert, change in changes.items():
        whole[expert] = change
    left, sizes, right = torch.linalg.svd(whole, full_matrices=False)
    rank = max(1, int((sizes > 1e-12 * sizes[0]).sum()))
    return ParameterChange(
        weight.parameter + "_bias", right[:rank], left[:, :rank] * sizes[:rank], rank
    )


def matrix_change(module: str, out: torch.Tensor, inputs: torch.Tensor) -> ParameterChange:
    """Of a module's weight [out, in] as a parameter, which PEFT takes for no expert."""
    return ParameterChange(f"{module}.weight", inputs.t(), out, out.shape[1])


def nested(changes: Sequence[ParameterChange], least: int) -> list[ParameterChange]:
    """The same at one rank, at least this, each told how many of its module's come after it."""
    rank = max([least, *(one.rank for one in changes)])
    modules = [one.parameter.rpartition(".")[0] for one in changes]
    return [
        replace(_widened(one, rank), inside=modules[index + 1 :].count(modules[index]))
        for index, one in enumerate(changes)
    ]


def _widened(one: ParameterChange, rank: int) -> ParameterChange:
    experts, more = one.a.shape[0] // one.rank, rank - one.rank
    a = one.a.unflatten(0, (experts, one.rank))
    b = one.b.unflatten(1, (one.rank, experts))
    a = torch.cat([a, a.new_zeros(experts, more, a.shape[2])], 1)
    b = torch.cat([b, b.new_zeros(len(b), more, experts)], 1)
    return replace(one, a=a.flatten(0, 1), b=b.flatten(1), rank=rank)
