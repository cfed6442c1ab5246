"""Small models to merge, of odd sizes, and how a merge is judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lenswright.checkpoints.checkpoint import Checkpoint

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 30,
    "num_hidden_layers": 3, "vocab_size": 97, "tie_word_embeddings": False, "dtype": "float32",
    "layer_types": ["full_attention"] * 3,
}  # fmt: skip
SHAPES: dict[str, list[int]] = {
    "model.embed_tokens.weight": [97, 30],
    **{
        f"model.layers.{layer}.{rest}.weight": shape
        for layer in range(3)
        for rest, shape in {
            "self_attn.q_proj": [37, 41], "mlp.up_proj": [61, 30], "input_layernorm": [29],
        }.items()
    },
    "model.layers.1.mlp.large.weight": [531, 1013],  # of several tiles
    "model.layers.2.mlp.one.weight": [1],
    "model.layers.2.mlp.column.weight": [7, 1],
    "model.layers.2.mlp.zero.weight": [7, 5],
    "model.norm.weight": [30],
    "lm_head.weight": [97, 30],
}  # fmt: skip
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

Tensors = dict[str, torch.Tensor]


def random_tensors(seed: int, dtype: torch.dtype, near: Tensors | None = None) -> Tensors:
    """Random tensors; `near` others: as a fine-tune of them. Those called zero are zero."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in SHAPES.items():
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        if near is not None:
            value = near[name].double() + 0.1 * value
        out[name] = (value * (0.0 if ".zero." in name else 1.0)).to(dtype)
    return out


def save(
    folder: Path, tensors: Tensors, config: Mapping[str, Any] = CONFIG, shards: int = 1
) -> Path:
    """A checkpoint folder, in one file or several."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2))
    names = list(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    places = {name: f"model-{i % shards}.safetensors" for i, name in enumerate(names)}
    for shard in sorted(set(places.values())):
        save_file({n: tensors[n] for n in names if places[n] == shard}, folder / shard)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def load(folder: Path) -> Tensors:
    """All tensors of a folder."""
    out: Tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        out.update(load_file(path))
    return out


def digits(dtype: torch.dtype) -> tuple[int, int]:
    """Bits of the mantissa, and the exponent of the smallest normal number."""
    return {torch.bfloat16: (7, -126), torch.float16: (10, -14), torch.float32: (23, -126)}[dtype]


def unit(value: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """A unit in the last place of each number."""
    mantissa, least = digits(dtype)
    exponent = np.frexp(value)[1] - 1
    return np.ldexp(1.0, np.maximum(exponent, least) - mantissa)


def rounded(value: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """To the nearest number of the type, ties to even, once, as float64."""
    step = unit(value, dtype)
    return np.rint(value / step) * step


def judge(
    name: str, got: torch.Tensor, want: np.ndarray, relative: float = 1e-6, noise: float = 0.0
) -> tuple[int, int]:
    """Assert what holds for every element; return how many are correctly rounded, and of how many.

    float32: |got - want| within `relative` of the tensor's largest number; narrower types: within
    one unit of the last place.
    noise: what rounding in float64, of `want` as of `got`, leaves where terms cancel.
    """
    value = got.double().numpy()
    assert value.shape == want.shape, name
    there = np.isfinite(want)
    assert np.array_equal(value[~there], want[~there], equal_nan=True), name
    value, want = value[there], want[there]
    if want.size == 0:
        return 0, 0
    nearest = rounded(want, got.dtype)
    if got.dtype == torch.float32:
        assert np.max(np.abs(value - want)) <= relative * np.max(np.abs(want)), name
    else:
        assert np.all(np.abs(value - nearest) <= unit(nearest, got.dtype) + noise), name
    return int(np.sum(value == nearest)), value.size


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every tensor of a checkpoint."""
    return {name: check.sha256 for name, check in Checkpoint(folder).check().items()}


def config_of(folder: Path) -> dict[str, Any]:
    """What its config.json says."""
    return json.loads((folder / "config.json").read_text())


def near(folder: Path, seed: int, to: Path, **changes: Any) -> Path:
    """A fine-tune of a checkpoint: every tensor moved a little."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator).to(value.dtype)
        for name, value in load(folder).items()
    }
    return save(to, tensors, config_of(folder) | changes)


def linear(folders: list[Path], weights: list[Any]) -> dict[str, Any]:
    """A recipe of a weighted mean."""
    return {
        "merge_method": "linear",
        "models": [
            {"model": str(f), "parameters": {"weight": w}}
            for f, w in zip(folders, weights, strict=True)
        ],
    }


def same(got: torch.Tensor, want: torch.Tensor) -> None:
    """Equal to float32's rounding."""
    assert float((got.double() - want).abs().max()) <= 1e-6 * float(want.abs().max())


def franken(folders: list[Path]) -> dict[str, Any]:
    """A recipe of two layers of each of two models, one behind the other."""
    return {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": str(folders[0]), "layer_range": [0, 2]}]},
            {"sources": [{"model": str(folders[1]), "layer_range": [1, 3]}]},
        ],
    }


def base_and_tuned(folder: Path, count: int, dtype: torch.dtype) -> list[Path]:
    """Random models: a base, and `count` tuned from it."""
    base = random_tensors(0, dtype)
    tensors = [base, *(random_tensors(i + 1, dtype, base) for i in range(count))]
    return [save(folder / str(i), one) for i, one in enumerate(tensors)]
