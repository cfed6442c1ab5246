"""A demonstration model's folder: its configuration, its weights before training, its files."""

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
from lenswright.demo.kinds import KINDS, Kind
from lenswright.demo.kinds.kind import LAYERS, Shapes

BASE = KINDS["base"]


def config(kind: Kind = BASE) -> dict[str, object]:
    """The model's config.json."""
    words = tokenizer.build(kind.rules)
    return {
        **dict(list(kind.network.settings.items())[:2]),
        "vocab_size": words.get_vocab_size(),
        **dict(list(kind.network.settings.items())[2:]),
        "bos_token_id": words.token_to_id(tokenizer.BEGIN),
        "eos_token_id": words.token_to_id(tokenizer.END),
        "pad_token_id": words.token_to_id(tokenizer.PAD),
        "torch_dtype": "float32",
    }


def shapes(kind: Kind = BASE) -> Shapes:
    """Name and shape of every tensor that is trained, in the order of the file."""
    return kind.network.shapes(tokenizer.build(kind.rules).get_vocab_size())


def initial(seed: int, kind: Kind = BASE) -> dict[str, torch.Tensor]:
    """Random weights by name, each from a generator of its own, so that no order matters."""
    network = kind.network
    tensors = {}
    for name, shape in shapes(kind).items():
        if len(shape) == 1:
            tensors[name] = torch.full(shape, 0.0 if name.endswith("bias") else network.gain)
            continue
        scale = 1 / math.sqrt(network.inputs(name, shape))
        if name.endswith(network.writers):
            scale /= math.sqrt(2 * LAYERS)
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        source = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        tensors[name] = torch.randn(shape, generator=source) * network.scales.get(name, scale)
    return tensors


def write(folder: Path, tensors: Mapping[str, torch.Tensor], kind: Kind = BASE) -> None:
    """Write a whole model folder: weights as float32, configuration, tokenizer.

    Raises:
        FileExistsError: the folder exists.
        ValueError: the tensors are not those of `shapes`.
    """
    order = shapes(kind)
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != order:
        raise ValueError(f"tensors has {sorted(tensors)}, expected those of shapes() in its shapes")
    stored = kind.pack({name: tensors[name].detach() for name in order})
    settings = config(kind)
    generation = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    generation |= {"do_sample": False, "max_new_tokens": 16}
    texts = tokenizer.files(kind.rules) | {
        "config.json": json.dumps(settings, indent=2) + "\n",
        "generation_config.json": json.dumps(generation, indent=2) + "\n",
    }
    with _files.FolderWriter(folder) as writer:
        plan = [(name, "F32", list(tensor.shape)) for name, tensor in stored.items()]
        shard = writer.shard("model.safetensors", plan, {"format": "pt"})
        for name, tensor in stored.items():
            whole = tensor.to("cpu", torch.float32).contiguous()
            size = whole.numel() * whole.element_size()
            shard.write(name, 0, (ctypes.c_char * size).from_address(whole.data_ptr()))
        for name, text in texts.items():
            writer.write_text(name, text)
        writer.commit()
