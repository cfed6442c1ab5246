"""What the tests of edits share: checkpoints in every type and layout, general edits, hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lenswright as lw

DTYPES = {
    "float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}  # fmt: skip

KEPT = {
    "float64": 1e-15, "float32": 1e-7, "float16": 1e-4, "bfloat16": 5e-4,
}  # fmt: skip
"""|vᵀW'| / |W| that rounding once leaves, by stored type."""

FAMILIES = ["llama", "llama-grouped", "gpt2", "gpt2-untied"]
"""Llama untied without biases and tied with them; GPT-2 tied and untied (Conv1D, positions)."""


def stored_as(source: Path, target: Path, dtype: str, shards: int = 1) -> Path:
    """A copy of a checkpoint in another type, in one file or several, with files to carry along."""
    shutil.copytree(source, target)
    tensors = {n: t.to(DTYPES[dtype]) for n, t in load_file(target / "model.safetensors").items()}
    config = json.loads((target / "config.json").read_text())
    config["dtype"] = dtype
    (target / "config.json").write_text(json.dumps(config, indent=2))
    (target / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}\n')
    (target / "model.safetensors").unlink()
    names = sorted(tensors)
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    if shards == 1:
        files = ["model.safetensors"]
    places = {}
    for i, file in enumerate(files):
        part = {n: tensors[n].contiguous() for n in names[i::shards]}
        save_file(part, target / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    if shards > 1:
        size = sum(t.nbytes for t in tensors.values())
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
        (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return target


def file_hashes(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


def tensor_hash(tensor: torch.Tensor) -> str:
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()


def hashes(model: lw.Model) -> dict[str, str]:
    return {name: tensor_hash(value) for name, value in model.parameters().items()}


def committed_hashes(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as reader:
            found |= {name: tensor_hash(reader.get_tensor(name)) for name in reader.keys()}  # noqa: SIM118
    return found


def matrix_of(tensor: torch.Tensor, writer: dict[str, Any]) -> torch.Tensor:
    """A writer's matrix as stored: one of many experts', a norm's bias as a table of one row."""
    return torch.atleast_2d(tensor if writer["slice"] < 0 else tensor[writer["slice"]])


def general_factors(
    model: lw.Model, seed: int = 0, rows: int = 0, names: str = "SUVCABshift"
) -> dict[str, dict[str, torch.Tensor]]:
    """Every factor of every writer, of rank 2, near the identity."""
    generator = torch.Generator().manual_seed(seed)
    stored = model.parameters()

    def draw(*shape: int) -> torch.Tensor:
        lead = (rows,) if rows else ()
        return torch.randn(*lead, *shape, generator=generator, dtype=torch.float64)

    factors: dict[str, dict[str, torch.Tensor]] = {}
    for writer in model.writers():
        shape = matrix_of(stored[writer["weight"]], writer).shape
        axis = writer["residual_axis"]
        out, inputs = shape[axis], shape[1 - axis]
        own: dict[str, Any] = {
            "S": 1 + 0.1 * draw(out), "U": draw(2, out) / out**0.5, "V": draw(2, out) / out**0.5,
            "C": 1 + 0.1 * draw(inputs), "A": 0.1 * draw(2, out), "B": 0.3 * draw(2, inputs),
        }  # fmt: skip
        if writer["bias"]:
            own["shift"] = 0.1 * draw(out)
        factors[writer["name"]] = {n: t for n, t in own.items() if n in names}
    return factors


def reference(
    weight: torch.Tensor, factors: dict[str, torch.Tensor], residual_axis: int
) -> torch.Tensor:
    """W' in float64 as stored, one formula."""
    w = weight.double() if residual_axis == 0 else weight.double().T
    if "U" in factors:
        w = w - factors["U"].T @ (factors["V"] @ w)
    if "S" in factors:
        w = factors["S"][:, None] * w
    if "C" in factors:
        w = w * factors["C"]
    if "A" in factors:
        w = w + factors["A"].T @ factors["B"]
    return w if residual_axis == 0 else w.T


def reference_bias(bias: torch.Tensor, factors: dict[str, torch.Tensor]) -> torch.Tensor:
    b = bias.double()
    if "U" in factors:
        b = b - factors["U"].T @ (factors["V"] @ b)
    if "S" in factors:
        b = factors["S"] * b
    return b + factors["shift"] if "shift" in factors else b


def loaded(
    tiny: Callable[..., Path], tmp: Path, name: str, dtype: str = "float64", run: str = "auto"
) -> lw.Model:
    return lw.load(stored_as(tiny(name), tmp / f"{name}-{dtype}", dtype), dtype=run)


def direction(model: lw.Model, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 + seed)
    return torch.randn(model.cfg.d_model, generator=generator, dtype=torch.float64)


def ablation(model: lw.Model, **settings: object) -> lw.edits.Edit:
    """Of a random direction."""
    generator = torch.Generator().manual_seed(7)
    return lw.edits.ablate(model, torch.randn(model.cfg.d_model, generator=generator), **settings)  # type: ignore[arg-type]


def transformers_logits(folder: Path, tokens: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What `transformers` makes of a folder, in which it must find every tensor."""
    import transformers

    hf, facts = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    assert not facts["missing_keys"], facts
    assert not facts["unexpected_keys"], facts
    with torch.no_grad():
        return hf(tokens).logits


def journalled(tiny: Callable[..., Path], room: Path) -> Path:
    """A small llama, room/"in", committed with an edit and a journal."""
    source = stored_as(tiny("llama"), room / "in", "bfloat16")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)))
    edit.commit(source, room / "edited", progress=False, journal=True)
    return room / "edited"


def tampered(folder: Path, name: str) -> None:
    """Change one bit of a tensor."""
    tensors = load_file(folder / "model.safetensors")
    tensors[name].view(torch.int16).flatten()[7] ^= 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
