"""Mixtral: four experts in every layer, of which each token chooses two; stored in two layouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lenswright.demo.kinds.kind import LAYERS, WIDTH, Kind, Network, Shapes
from lenswright.demo.kinds.llama import LLAMA, SETTINGS, shapes

if TYPE_CHECKING:
    from torch import Tensor

EXPERTS, CHOSEN, INNER = 4, 2, 64


def experts(block: str) -> Shapes:
    """The router and the experts of a layer, each matrix by itself, as Mixtral was published."""
    mixture = f"{block}.block_sparse_moe"
    found: Shapes = {f"{mixture}.gate.weight": (EXPERTS, WIDTH)}
    for i in range(EXPERTS):
        found[f"{mixture}.experts.{i}.w1.weight"] = (INNER, WIDTH)
        found[f"{mixture}.experts.{i}.w2.weight"] = (WIDTH, INNER)
        found[f"{mixture}.experts.{i}.w3.weight"] = (INNER, WIDTH)
    return found


def fused(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All experts of a layer in one tensor, gates before ups, as transformers 5 keeps them."""
    import torch

    found = {name: t for name, t in tensors.items() if "block_sparse_moe" not in name}
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        old, new = f"{block}.block_sparse_moe", f"{block}.mlp"
        each = [
            [tensors[f"{old}.experts.{i}.w{part}.weight"] for part in (1, 3, 2)]
            for i in range(EXPERTS)
        ]
        found[f"{new}.gate.weight"] = tensors[f"{old}.gate.weight"]
        found[f"{new}.experts.gate_up_proj"] = torch.stack([torch.cat(w[:2]) for w in each])
        found[f"{new}.experts.down_proj"] = torch.stack([w[2] for w in each])
    return found


MIXTRAL = Network(
    settings={
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        **{key: value for key, value in SETTINGS.items() if not key.endswith("_bias")},
        "intermediate_size": INNER,
        "num_local_experts": EXPERTS,
        "num_experts_per_tok": CHOSEN,
        "sliding_window": None,
    },
    shapes=shapes(experts),
    writers=("o_proj.weight", "w2.weight"),
    scales=LLAMA.scales,
)

MIXTURE = Kind("mixture", "the shipped model's language in a mixture of experts", MIXTRAL)

MIXTURE_FUSED = replace(
    MIXTURE,
    name="mixture_fused",
    what="the weights of mixture with all experts of a layer in one tensor",
    of=MIXTURE.name,
    pack=fused,
)
