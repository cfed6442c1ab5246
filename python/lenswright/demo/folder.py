"""The demonstration model's folder: its configuration, its weights before training, its files."""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from lenswright import _files
from lenswright.demo import tokenizer

WIDTH, HEADS, INNER, LAYERS = 96, 6, 128, 4


def config() -> dict[str, object]:
    """The model's config.json: a small Llama with an unembedding of its own."""
    words = tokenizer.build()
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": words.get_vocab_size(),
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": tokenizer.CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": words.token_to_id(tokenizer.BEGIN),
        "eos_token_id": words.token_to_id(tokenizer.END),
        "pad_token_id": words.token_to_id(tokenizer.PAD),
        "torch_dtype": "float32",
    }


def shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor, in the order of the file."""
    vocabulary = tokenizer.build().get_vocab_size()
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, WIDTH)}
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        for part in "qkvo":
            found[f"{block}.self_attn.{part}_proj.weight"] = (WIDTH, WIDTH)
        found[f"{block}.mlp.gate_proj.weight"] = (INNER, WIDTH)
        found[f"{block}.mlp.up_proj.weight"] = (INNER, WIDTH)
        found[f"{block}.mlp.down_proj.weight"] = (WIDTH, INNER)
        found[f"{block}.input_layernorm.weight"] = (WIDTH,)
        found[f"{block}.post_attention_layernorm.weight"] = (WIDTH,)
    return found | {"model.norm.weight": (WIDTH,), "lm_head.weight": (vocabulary, WIDTH)}


def initial(seed: int) -> dict[str, torch.Tensor]:
    """Random weights by name, each from a generator of its own, so that no order matters."""
    fixed = {"model.embed_tokens.weight": 0.1, "lm_head.weight": 0.02}
    tensors = {}
    for name, shape in shapes().items():
        if len(shape) == 1:
            tensors[name] = torch.ones(shape)
            continue
        scale = 1 / math.sqrt(shape[1])
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            scale /= math.sqrt(2 * LAYERS)
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        source = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        tensors[name] = torch.randn(shape, generator=source) * fixed.get(name, scale)
    return tensors


def write(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a whole model folder: weights as float32, configuration, tokenizer.

    Raises:
        FileExistsError: the folder exists.
        ValueError: the tensors are not those of `shapes`.
    """
    order = shapes()
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != order:
        raise ValueError(f"tensors has {sorted(tensors)}, expected those of shapes() in its shapes")
    settings = config()
    generation = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    generation |= {"do_sample": False, "max_new_tokens": 16}
    texts = tokenizer.files() | {
        "config.json": json.dumps(settings, indent=2) + "\n",
        "generation_config.json": json.dumps(generation, indent=2) + "\n",
    }
    with _files.FolderWriter(folder) as writer:
        plan = [(name, "F32", list(shape)) for name, shape in order.items()]
        shard = writer.shard("model.safetensors", plan, {"format": "pt"})
        for name in order:
            whole = tensors[name].detach().to("cpu", torch.float32).contiguous()
            size = whole.numel() * whole.element_size()
            shard.write(name, 0, (ctypes.c_char * size).from_address(whole.data_ptr()))
        for name, text in texts.items():
            writer.write_text(name, text)
        writer.commit()
