"""PEFT's form of a LoRA adapter: factors by module, adapter_config.json, the folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lenswright.checkpoints import tensor_file
from lenswright.editing.adapter_parameters import ParameterChange

PREFIX = "base_model.model."
BASES = "lenswright.bases"
"""Key of the file's metadata that says what the adapter was made for."""


@dataclass(frozen=True)
class Change:
    """W' - W = out inᵀ of one module, [out, r] and [in, r], and b' - b where that changes."""

    module: str
    table: bool  # an embedding
    out: torch.Tensor
    inputs: torch.Tensor
    bias: torch.Tensor | None = None
    biased: bool = False  # whether the module has one
    transposed: bool = False  # stored as [in, out]

    @property
    def rank(self) -> int:
        """Of the factors."""
        return self.out.shape[1]


def adapter_tensors(
    changes: Sequence[Change], parameters: Sequence[ParameterChange] = ()
) -> dict[str, torch.Tensor]:
    """The factors by PEFT's names, in float32; biases of all modules where one changes."""
    tensors = {}
    for one in parameters:
        tensors[f"{PREFIX}{one.prefix}.lora_A.weight"] = one.a.float().contiguous()
        tensors[f"{PREFIX}{one.prefix}.lora_B.weight"] = one.b.float().contiguous()
    with_biases = any(change.bias is not None for change in changes)
    for change in changes:
        name = PREFIX + change.module
        inputs, out = change.inputs.t().float().contiguous(), change.out.float().contiguous()
        if change.table:
            tensors[f"{name}.lora_embedding_A"], tensors[f"{name}.lora_embedding_B"] = inputs, out
            continue
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = inputs, out
        if with_biases:
            bias = torch.zeros(len(out)) if change.bias is None else change.bias.float()
            tensors[f"{name}.lora_B.bias"] = bias
    return tensors


def adapter_config(
    changes: Sequence[Change],
    base: str,
    saved: Sequence[str] = (),
    parameters: Sequence[ParameterChange] = (),
) -> dict[str, Any]:
    """adapter_config.json; `saved`: modules that the adapter holds whole."""
    ranks = {change.module: change.rank for change in changes}
    # Parameters all have the largest rank: PEFT warns of patterns that name no module.
    most = max([*ranks.values(), *(one.rank for one in parameters)], default=1)
    other = {module: rank for module, rank in ranks.items() if rank != most}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": most,
        "lora_alpha": most,  # the factors are the change itself: scaling is 1
        "rank_pattern": other,
        "alpha_pattern": other,
        "lora_dropout": 0.0,
        "bias": "none",
        "lora_bias": any(change.bias is not None for change in changes),
        "fan_in_fan_out": any(change.transposed for change in changes),
        "use_rslora": False,
        "use_dora": False,
        "target_modules": [change.module for change in changes],
        **({"modules_to_save": list(saved)} if saved else {}),
        **({"target_parameters": [one.parameter for one in parameters]} if parameters else {}),
    }


def save_adapter(
    folder: Path,
    tensors: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    bases: Mapping[str, str] | None = None,
) -> None:
    """Write the folder, which appears whole or not at all.

    bases: SHA-256 of the stored tensors that it is a change of, by name; kept beside the factors.
    """
    told = {BASES: json.dumps(dict(bases), sort_keys=True)} if bases else {}
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    partial.mkdir()
    tensor_file.save(partial / "adapter_model.safetensors", tensors, {"format": "pt"} | told)
    (partial / "adapter_config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
    partial.rename(folder)
