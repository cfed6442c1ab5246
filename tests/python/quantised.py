"""Quantised checkpoints made from plain ones, and plain ones again by transformers' functions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Block = tuple[int, int] | None
Tensors = dict[str, torch.Tensor]

KEPT = ("embed", "lm_head", "wte", "wpe", "norm", "ln_", "router", ".gate.", "_gate.", "conv")
"""Parts of the names of what no quantiser touches."""
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
GROUP = 32


def is_linear(name: str, value: torch.Tensor) -> bool:
    return value.ndim > 1 and not name.endswith("bias") and not any(part in name for part in KEPT)


def to_fp8(weight: torch.Tensor, block: Block) -> tuple[torch.Tensor, torch.Tensor]:
    """E4M3 codes of [.., rows, columns] and a float32 scale for each block, the last ragged."""
    rows, columns = weight.shape[-2:]
    high, wide = block or (rows, columns)
    grid = (-(-rows // high), -(-columns // wide))
    padded = torch.nn.functional.pad(
        weight.float(), (0, grid[1] * wide - columns, 0, grid[0] * high - rows)
    )
    blocks = padded.unflatten(-1, (grid[1], wide)).unflatten(-3, (grid[0], high))
    most = blocks.abs().amax((-3, -1))
    scales = torch.where(most > 0, most / 448, torch.ones_like(most))
    codes = (blocks / scales[..., :, None, :, None]).clamp(-448, 448)
    codes = codes.flatten(-4, -3).flatten(-2, -1)[..., :rows, :columns]
    return codes.to(torch.float8_e4m3fn), scales


def to_mxfp4(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Blocks [.., columns / 32, 16] and scales: two numbers a byte, the earlier in the low half."""
    groups = weight.double().unflatten(-1, (-1, GROUP))
    exponents = groups.abs().amax(-1).clamp_min(1e-30).log2().floor() - 2
    scaled = groups * torch.exp2(-exponents)[..., None]
    codes = (scaled[..., None] - E2M1.double()).abs().argmin(-1).to(torch.uint8)
    blocks = codes[..., 0::2] | codes[..., 1::2] << 4
    return blocks, (exponents + 127).to(torch.uint8)


def as_exponents(scales: torch.Tensor) -> torch.Tensor:
    """Powers of two at or above scales, as bytes."""
    return (scales.log2().ceil() + 127).to(torch.uint8)


SCALES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F32": lambda s: s,
    "BF16": lambda s: s.bfloat16(),
    "F16": lambda s: s.half(),
    "U8": as_exponents,
    "F8_E8M0": lambda s: as_exponents(s).view(torch.float8_e8m0fnu),
}
"""How scales may be stored."""


def _copy(source: Path, target: Path, tensors: Tensors, change: Callable[[Any], None]) -> Path:
    shutil.copytree(source, target)
    (target / "model.safetensors").unlink()
    save_file(
        {n: t.contiguous() for n, t in tensors.items()},
        target / "model.safetensors",
        {"format": "pt"},
    )
    config = json.loads((target / "config.json").read_text())
    change(config)
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return target


def fp8(
    source: Path,
    target: Path,
    block: Block = (16, 24),
    stored: str = "F32",
    wanted: Callable[[str, torch.Tensor], bool] = is_linear,
) -> Path:
    """A copy of a plain checkpoint whose matrices are fp8 with a scale for each block."""
    tensors: Tensors = {}
    for name, value in load_file(source / "model.safetensors").items():
        if not wanted(name, value):
            tensors[name] = value.bfloat16() if "correction" not in name else value
            continue
        halves = value.chunk(2, -2) if _in_halves(name, value) else (value,)
        parts = [to_fp8(half, block) for half in halves]
        tensors[name] = torch.cat([codes for codes, _ in parts], -2)
        scales = torch.cat([scale for _, scale in parts], -2)
        scales = scales.reshape(()) if block is None and value.ndim == 2 else scales
        tensors[name + "_scale_inv"] = SCALES[stored](scales)
    rule = {
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
        "weight_block_size": list(block) if block else None,
    }  # fmt: skip
    return _copy(source, target, tensors, lambda config: config.update(quantization_config=rule))


def _in_halves(name: str, value: torch.Tensor) -> bool:
    # gates and ups [experts, 2 inner, d_model]
    return value.ndim == 3 and "gate_up" in name and value.shape[-2] % 2 == 0


def mxfp4(source: Path, target: Path) -> Path:
    """A copy of a plain gpt-oss whose experts [E, inputs, outputs] are MXFP4, as published."""
    tensors: Tensors = {}
    for name, value in load_file(source / "model.safetensors").items():
        if value.ndim != 3:
            tensors[name] = value.bfloat16()
            continue
        tensors[name + "_blocks"], tensors[name + "_scales"] = to_mxfp4(value.mT)
    rule = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router"],
    }
    return _copy(source, target, tensors, lambda config: config.update(quantization_config=rule))


def dequantised(source: Path, target: Path) -> Path:
    """A float32 copy of a quantised checkpoint, its weights made by `transformers`."""
    from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    rule = json.loads((source / "config.json").read_text())["quantization_config"]
    stored = load_file(source / "model.safetensors")
    tensors: Tensors = {}
    for name, value in stored.items():
        if value.dtype == torch.float8_e4m3fn:
            scales = numbers_of(stored[name + "_scale_inv"])
            halves = 2 if _in_halves(name, value) else 1
            tensors[name] = torch.cat(
                [
                    _dequantize_fp8_weight(codes, own, rule["weight_block_size"], torch.float32)
                    for codes, own in zip(
                        value.chunk(halves, -2),
                        scales.chunk(halves, -2) if halves > 1 else [scales],
                        strict=True,
                    )
                ],
                -2,
            )
        elif name.endswith("_blocks"):
            base = name.removesuffix("_blocks")
            tensors[base] = convert_moe_packed_tensors(
                value, stored[base + "_scales"], dtype=torch.float32
            )
        elif not name.endswith(("_scale_inv", "_scales", "activation_scale")):
            tensors[name] = value.float()

    def plain(config: Any) -> None:
        del config["quantization_config"]
        config["dtype"] = "float32"

    return _copy(source, target, tensors, plain)


def numbers_of(scales: torch.Tensor) -> torch.Tensor:
    """Scales in float32; bytes are exponents."""
    if scales.dtype == torch.uint8:
        return torch.exp2(scales.float() - 127)
    return scales.float()


def fused(source: Path, target: Path) -> Path:
    """A copy of an fp8 mixture with separate experts whose experts are one tensor a layer."""
    stored = load_file(source / "model.safetensors")
    groups: dict[tuple[str, str], dict[int, torch.Tensor]] = {}
    tensors: Tensors = {}
    for name, value in stored.items():
        before, experts, rest = name.partition(".experts.")
        if not experts:
            tensors[name] = value
            continue
        index, part, ending = rest.split(".")
        key = before + experts, part + ending.removeprefix("weight")
        groups.setdefault(key, {})[int(index)] = value
    stacks = {
        key: torch.stack([parts[i] for i in range(len(parts))]) for key, parts in groups.items()
    }
    for (at, part), value in stacks.items():
        if part.startswith("down_proj"):
            tensors[at + part] = value
        elif part.startswith("gate_proj"):
            other = stacks[at, part.replace("gate_proj", "up_proj")]
            tensors[at + part.replace("gate_proj", "gate_up_proj")] = torch.cat([value, other], -2)
    return _copy(source, target, tensors, lambda config: None)


def sharded(source: Path, target: Path, shards: int = 2) -> Path:
    """A copy of a checkpoint in several files, whose scales lie in others than their codes."""
    tensors = load_file(source / "model.safetensors")
    shutil.copytree(source, target)
    (target / "model.safetensors").unlink()
    names = sorted(tensors)
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    places: dict[str, str] = {}
    for i, file in enumerate(files):
        part = {name: tensors[name] for name in names[i::shards]}
        save_file(part, target / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    size = sum(t.nbytes for t in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return target


def save_random_llama(
    folder: Path, hidden_size: int, intermediate_size: int, num_hidden_layers: int
) -> None:
    """Weights of an fp8 Llama of 97 tokens whose queries, keys and values are as wide as it is."""
    generator = torch.Generator().manual_seed(0)
    d, wide = hidden_size, intermediate_size
    tensors: Tensors = {
        "model.embed_tokens.weight": torch.randn(97, d, generator=generator).bfloat16(),
        "lm_head.weight": torch.randn(97, d, generator=generator).bfloat16(),
        "model.norm.weight": torch.ones(d).bfloat16(),
    }
    shapes = {f"self_attn.{name}_proj": (d, d) for name in "qkvo"}
    shapes |= {"mlp.gate_proj": (wide, d), "mlp.up_proj": (wide, d), "mlp.down_proj": (d, wide)}
    for layer in range(num_hidden_layers):
        at = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{norm}.weight"] = torch.ones(d).bfloat16()
        for name, shape in shapes.items():
            codes = torch.randint(0, 120, shape, dtype=torch.uint8, generator=generator)
            tensors[f"{at}{name}.weight"] = codes.view(torch.float8_e4m3fn)
            grid = [-(-size // 128) for size in shape]
            tensors[f"{at}{name}.weight_scale_inv"] = torch.full(grid, 1e-3)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
