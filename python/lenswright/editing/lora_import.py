"""PEFT LoRA adapters as edits: what they add to writers of the residual stream."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.checkpoints.module_names import ModuleNames
from lenswright.editing.adapter_file import BASES, PREFIX
from lenswright.editing.adapter_parameters import Experts

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.model import Model

_FACTOR = re.compile(
    r"(?P<module>.+)\.lora_(?P<table>embedding_)?(?P<side>[AB])(\.default)?(\.(?P<what>weight|bias))?"
)
Tensors = dict[str, torch.Tensor]  # "A", "B", "bias"


def from_lora(model: Model, folder: str | os.PathLike[str], other_base: bool = False) -> Edit:
    """An edit from a PEFT LoRA adapter of writers: W' = W + (alpha / r) B A, biases included.

    What `Edit.to_lora` writes, and what `peft` does where it adapts nothing but modules (or, in
    mixtures, parameters) that write to the residual stream: attention's and MLPs' outputs,
    embeddings, experts.

    Args:
        model: the adapter's base.
        folder: with adapter_config.json and adapter_model.safetensors.
        other_base: take it although it was made for other weights of these sizes. Adapters that
            `Edit.to_lora` wrote know the SHA-256 of what they were made for; `peft`'s do not.

    Raises:
        FileNotFoundError: the folder has no such files.
        ValueError: an adapter for another base; no LoRA, or one of another kind (DoRA); a module
            that is no writer of the residual stream (`lenswright merge` takes such); factors of
            other sizes than the model's, which is then not its base.

    Example:
        >>> tuned = lw.edits.from_lora(model, "adapter/")
        >>> tried = model.trial({"half": 0.5 * tuned, "whole": tuned}, ["a prompt"])
    """
    from lenswright.edits import from_factors

    folder = Path(folder)
    config = _config(folder)
    found = _modules(folder)
    places = _Places(model, config)
    factors: dict[str, dict[str, torch.Tensor]] = {}
    for prefix, tensors in found.items():
        for writer, own in places.factors(prefix, tensors).items():
            factors.setdefault(writer, {}).update(own)
    told = {"method": "lora", "adapter": folder.name, "rank": config.get("r")}
    edit = from_factors(model, factors, told)
    if not other_base:
        _check_bases(edit, folder)
    return edit


def _check_bases(edit: Edit, folder: Path) -> None:
    meant = json.loads(Checkpoint(folder / "adapter_model.safetensors").metadata.get(BASES, "{}"))
    for name, own in edit.bases.items():
        if meant.get(name, own) != own:
            raise ValueError(
                f"adapter {folder} was made for another base: tensor '{name}' has SHA-256 {own}, "
                f"expected {meant[name]} (other_base=True takes it all the same)"
            )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise FileNotFoundError(f"adapter {folder} has no adapter_config.json")
    config: dict[str, Any] = json.loads(path.read_text())
    if config.get("peft_type") != "LORA":
        raise ValueError(f"adapter {folder}: peft_type is {config.get('peft_type')!r}, expected "
                         "'LORA'")  # fmt: skip
    for key in ("use_dora", "modules_to_save"):
        if config.get(key):
            raise ValueError(f"adapter {folder}: {key} is {config[key]!r}, which no edit is")
    return config


def _modules(folder: Path) -> dict[str, Tensors]:
    file = Checkpoint(folder / "adapter_model.safetensors")
    found: dict[str, Tensors] = {}
    for info in file.tensors():
        match = _FACTOR.fullmatch(info.name.removeprefix(PREFIX))
        if match is None:
            raise ValueError(f"adapter {folder}: tensor '{info.name}' is no factor of LoRA")
        name = "bias" if match["what"] == "bias" else match["side"]
        found.setdefault(match["module"], {})[name] = file[info.name].double()
    for module, tensors in found.items():
        if not {"A", "B"} <= set(tensors):
            raise ValueError(
                f"adapter {folder}: '{module}' has {sorted(tensors)}, expected A and B"
            )
    return found


class _Places:
    """Which writers an adapter's names mean."""

    def __init__(self, model: Model, config: Mapping[str, Any]) -> None:
        self.config = config
        sites = model.writers()
        names = ModuleNames(model)
        plain = ("expert", "embedding_norm")
        self.sites = {names.of(site): site for site in sites if site["kind"] not in plain}
        self.experts: dict[str, list[Mapping[str, Any]]] = {}
        self.held: dict[str, str] = {}  # where a parameter's factors are kept
        mixture = Experts(model) if any(site["kind"] == "expert" for site in sites) else None
        self.mixture = mixture
        if mixture is None or not config.get("target_parameters"):
            return
        for site in sites:
            if site["kind"] == "expert":
                self.experts.setdefault(mixture.parameter(site), []).append(site)
        self.held = mixture.wrappers(config["target_parameters"])

    def factors(self, prefix: str, tensors: Tensors) -> dict[str, dict[str, torch.Tensor]]:
        """By writer, of what is kept under a name."""
        parameter = self.held.get(prefix, f"{prefix}.weight")
        a, b = tensors["A"], tensors["B"]
        if parameter in self.experts:
            scale = self._scale(parameter, a.shape[0] // len(self.experts[parameter]))
            return self._of_experts(parameter, a, scale * b)
        if parameter.removesuffix("_bias") in self.experts:
            scale = self._scale(parameter, a.shape[0])
            shifts = scale * b @ a
            sites = self.experts[parameter.removesuffix("_bias")]
            return {site["name"]: {"shift": shifts[site["expert"]]} for site in sites}
        if prefix not in self.sites:
            raise ValueError(
                f"the adapter changes '{parameter.removesuffix('.weight')}', which does not write "
                "to the residual stream; expected such modules only, or `lenswright merge`"
            )
        scale = self._scale(prefix if prefix not in self.held else parameter, a.shape[0])
        own = {"A": scale * b.t(), "B": a}
        if "bias" in tensors:
            own["shift"] = scale * tensors["bias"]
        return {self.sites[prefix]["name"]: own}

    def _of_experts(
        self, parameter: str, a: torch.Tensor, b: torch.Tensor
    ) -> dict[str, dict[str, torch.Tensor]]:
        assert self.mixture is not None
        found = {}
        for site in self.experts[parameter]:
            out, inputs = self.mixture.parts(site, a, b)
            if bool(out.any()) and bool(inputs.any()):
                found[site["name"]] = {"A": out.t(), "B": inputs.t()}
        return found

    def _scale(self, name: str, rank: int) -> float:
        alpha = float(self.config["lora_alpha"])
        for key, value in (self.config.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({key})", name):
                alpha = float(value)
        return alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)
