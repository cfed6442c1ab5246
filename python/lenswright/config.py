"""A model's sizes under TransformerLens's attribute names."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch

from lenswright.nearest import did_you_mean


@dataclass(frozen=True)
class Config:
    """What TransformerLens calls `cfg`: read-only, every value from the checkpoint."""

    model_name: str
    n_layers: int
    d_model: int
    n_ctx: int
    d_head: int
    n_heads: int
    n_key_value_heads: int
    d_mlp: int
    d_vocab: int
    act_fn: str
    gated_mlp: bool
    eps: float
    normalization_type: str  # "LN" or "RMS"
    positional_embedding_type: str  # "standard" or "rotary"
    rotary_dim: int | None
    rotary_base: float | None
    tie_word_embeddings: bool
    dtype: torch.dtype
    device: torch.device

    def __getattr__(self, name: str) -> Any:
        known = [f.name for f in fields(self)]
        hint = did_you_mean(name, known)
        raise AttributeError(f"cfg has no '{name}'{hint}")

    @classmethod
    def from_core(cls, core: Any, name: str) -> Config:
        """The sizes of a loaded model."""
        spec = core.spec
        rotary = spec["position"] == "rope"
        return cls(
            model_name=name,
            n_layers=spec["n_layers"],
            d_model=spec["d_model"],
            n_ctx=spec["n_ctx"],
            d_head=spec["d_head"],
            n_heads=spec["n_heads"],
            n_key_value_heads=spec["n_kv_heads"],
            d_mlp=spec["d_mlp"],
            d_vocab=spec["d_vocab"],
            act_fn=spec["activation"],
            gated_mlp=spec["gated"],
            eps=spec["norm_eps"],
            normalization_type="RMS" if spec["norm"] == "rms" else "LN",
            positional_embedding_type="rotary" if rotary else "standard",
            rotary_dim=spec["ropes"][0]["dim"] if rotary else None,
            rotary_base=spec["ropes"][0]["theta"] if rotary else None,
            tie_word_embeddings=spec["tied"],
            dtype=core.dtype,
            device=core.device,
        )
