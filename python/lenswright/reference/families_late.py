"""Families that keep Llama's names for most parts."""

from __future__ import annotations

from typing import Any

from lenswright.reference.parts import Parts, Row


def _stablelm(config: Any) -> Parts:
    return Parts(
        parallel=config.use_parallel_residual, q_norm="q_layernorm", k_norm="k_layernorm",
        heads_first=True,
    )  # fmt: skip


def _cohere2(config: Any) -> Parts:
    rotary = tuple(kind == "sliding_attention" for kind in config.layer_types)
    return Parts(ln2=None, parallel=True, rotary=rotary)


ROWS: dict[str, Row] = {
    "cohere": Parts(ln2=None, parallel=True, q_norm="q_norm", k_norm="k_norm"),
    "cohere2": _cohere2,
    "nemotron": Parts(gate=None),
    "olmo": lambda config: Parts(clip=config.clip_qkv),
    "phi": Parts(
        final_norm="final_layernorm", ln2=None, parallel=True, q_norm="q_layernorm",
        k_norm="k_layernorm", heads_first=True, out="dense", gate=None, up="mlp.fc1",
        down="mlp.fc2",
    ),
    "stablelm": _stablelm,
    "starcoder2": Parts(gate=None, up="mlp.c_fc", down="mlp.c_proj"),
}  # fmt: skip
