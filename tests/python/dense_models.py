"""Dense models to be mixed, and the recipes of their mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SIZES: dict[str, Any] = {
    "hidden_size": 30, "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 37,
    "num_hidden_layers": 3, "vocab_size": 97, "max_position_embeddings": 64,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "kv_lora_rank": 14, "q_lora_rank": 18, "qk_rope_head_dim": 6, "qk_nope_head_dim": 4,
    "v_head_dim": 8, "first_k_dense_replace": 3, "n_routed_experts": 2, "num_experts_per_tok": 1,
    "moe_intermediate_size": 37, "head_dim": 6, "n_group": 1, "topk_group": 1,
}  # fmt: skip
DENSE: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SIZES),
    "mistral": ("MistralConfig", SIZES | {"sliding_window": 9, "head_dim": 10}),
    "llama of twice the width": ("LlamaConfig", SIZES | {"intermediate_size": 74}),
    "mistral without a window": ("MistralConfig", SIZES | {"sliding_window": None}),
    "qwen2": ("Qwen2Config", SIZES),
    "qwen3": ("Qwen3Config", SIZES | {"head_dim": 10, "tie_word_embeddings": True}),
    "deepseek_v2": ("DeepseekV2Config", SIZES | LATENT),
    "deepseek_v3": ("DeepseekV3Config", SIZES | LATENT),
}
PROMPTS = ["kindly locate my red bucket", "create a salad", "repeat it once more", "four and five"]


def dense(folder: Path, kind: str, seed: int) -> Path:
    """A small random dense model in which every weight matters."""
    name, settings = DENSE[kind]
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1 + 0.3 * noise if value.ndim == 1 else noise / value.shape[-1] ** 0.5)
    model.save_pretrained(folder)
    return folder


def recipe_of(folders: list[Path], mode: str = "random", shared: int = 0, **more: Any) -> Any:
    """Each model an expert with prompts of its own, the first the base."""
    experts = [
        {"source_model": str(folder), "positive_prompts": [PROMPTS[i], PROMPTS[i][4:]],
         "negative_prompts": [PROMPTS[i - 1]]}
        for i, folder in enumerate(folders)
    ]  # fmt: skip
    out = {"base_model": str(folders[0]), "experts": experts, "gate_mode": mode} | more
    if shared:
        out["shared_experts"] = [
            {"source_model": str(folders[-1]), "positive_prompts": ["anything"],
             "residual_scale": 0.3}
        ]  # fmt: skip
    return out
