"""The model that ships with the package, and small splits of its prompts."""

from __future__ import annotations

from typing import Any

import torch

import lenswright as lw
from lenswright.demo import MODEL, language

__all__ = ["MODEL", "model", "reference", "rows", "splits"]


def model(**options: Any) -> lw.Model:
    return lw.load(MODEL, **options)


def rows(part: str, name: str, count: int) -> list[dict[str, Any]]:
    """The first prompts of a class of a part."""
    return language.splits(1)[part][name][:count]


def splits(fit: int = 24, select: int = 12, test: int = 8) -> lw.Splits:
    """Declined against answered requests; the test part has lists too."""

    def part(name: str, count: int) -> dict[str, Any]:
        return {kind: rows(name, c, count) for kind, c in
                (("positive", "restricted"), ("negative", "benign"))}  # fmt: skip

    parts = {"fit": part("fit", fit), "select": part("select", select), "test": part("test", test)}
    parts["test"]["negative"] = parts["test"]["negative"] + rows("test", "list", test)
    return lw.Splits.from_parts(**parts)


def reference(ablated: torch.Tensor | None = None) -> Any:
    """The model in transformers, float64; with a direction taken out of every writer by hand."""
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float64).eval()
    if ablated is None:
        return whole
    v = ablated.double() / ablated.double().norm()
    away = torch.eye(len(v), dtype=torch.float64) - torch.outer(v, v)
    whole.lm_head.weight = torch.nn.Parameter(whole.lm_head.weight.detach().clone())
    with torch.no_grad():
        embedding = whole.model.embed_tokens.weight
        embedding.copy_(embedding @ away)
        for layer in whole.model.layers:
            for writer in (layer.self_attn.o_proj, layer.mlp.down_proj):
                writer.weight.copy_(away @ writer.weight)
    return whole
