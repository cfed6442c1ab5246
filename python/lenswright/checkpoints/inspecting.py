"""What a checkpoint is: from names, headers and config.json, never from the weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lenswright import _files
from lenswright.checkpoints.checkpoint import Checkpoint

TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
    "tekken.json", "tiktoken.model",
)  # fmt: skip
SIZES = {
    "n_layers": "layers", "d_model": "wide", "n_heads": "heads", "n_kv_heads": "key-value heads",
    "d_mlp": "in the MLP", "d_vocab": "tokens", "n_ctx": "positions",
}  # fmt: skip


Quantised = tuple[str, str, str, list[int]]
"""Of a tensor: how it is stored, the names of its codes and its scales, its shape."""


@dataclass
class Inspection:
    """What `inspect` found; `str()` is for people, `to_json()` for programs."""

    path: str
    architecture: str | None
    model_type: str | None
    supported: bool
    problem: str | None  # why a model cannot be loaded from it
    tensors: int
    parameters: int
    bytes: int
    dtypes: dict[str, dict[str, int]]  # per type: tensors, parameters, bytes
    shards: list[dict[str, Any]]
    index: str | None
    sizes: dict[str, int]
    tied: bool | None
    quantisation: str | None
    tokenizer: list[str]
    chat_template: str | None
    unknown_keys: list[str] = field(default_factory=list)
    unused_weights: list[str] = field(default_factory=list)
    trailing_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(f"{name:<14}{text}" for name, text in _lines(self))


def inspect(
    path_or_hub_id: str | os.PathLike[str] | Checkpoint,
    revision: str | None = None,
    lenient: bool = False,
) -> Inspection:
    """Say what a checkpoint is and what can be done with it, reading headers only.

    Args:
        path_or_hub_id: a folder, a .safetensors file or a hub id; or an open Checkpoint.
        revision: of a hub id.
        lenient: accept bytes after the last tensor.

    Raises:
        FileNotFoundError, CheckpointError, ValueError: as Checkpoint does.
    """
    if isinstance(path_or_hub_id, Checkpoint):
        checkpoint = path_or_hub_id
    else:
        checkpoint = Checkpoint(path_or_hub_id, revision, lenient)
    native = checkpoint.native
    config = checkpoint.config or {}
    spec, problem = _loadable(checkpoint)
    infos = native.tensors
    quantised = _files.quantised_tensors(native) if problem is None else {}
    dtypes: dict[str, dict[str, int]] = {}
    for info in infos:
        row = dtypes.setdefault(info.dtype, {"tensors": 0, "parameters": 0, "bytes": 0})
        row["tensors"] += 1
        row["parameters"] += info.numel
        row["bytes"] += info.nbytes
    architectures = config.get("architectures")
    tied = spec["tied"] if spec else config.get("tie_word_embeddings")
    return Inspection(
        path=str(checkpoint.path),
        architecture=architectures[0]
        if isinstance(architectures, list) and architectures
        else None,
        model_type=config.get("model_type"),
        supported=problem is None,
        problem=problem,
        tensors=len(infos),
        parameters=_parameters(infos, quantised),
        bytes=sum(row["bytes"] for row in dtypes.values()),
        dtypes=dtypes,
        shards=[_shard(checkpoint, name) for name in checkpoint.shards],
        index=native.index_name or None,
        sizes={key: spec[key] for key in SIZES} if spec else {},
        tied=tied if isinstance(tied, bool) else None,
        quantisation=_quantisation(config, set(dtypes), len(quantised)),
        tokenizer=[name for name in TOKENIZERS if (checkpoint.folder / name).is_file()],
        chat_template=_chat_template(checkpoint.folder),
        unknown_keys=list(spec["unknown_keys"]) if spec else [],
        unused_weights=list(native.unused_weights()),
        trailing_bytes=native.trailing_bytes,
    )


def _loadable(checkpoint: Checkpoint) -> tuple[dict[str, Any] | None, str | None]:
    """The sizes, where config.json gives them, and what stands in the way of a model."""
    if not checkpoint.native.has_config:
        return None, "no config.json: tensors can be read, but it is no model"
    try:
        spec = _files.read_spec(checkpoint.native.config_text())
    except ValueError as error:
        return None, str(error)
    try:
        missing = _files.missing_tensors(checkpoint.native)
    except ValueError as error:
        return spec, str(error)
    if len(missing) > 1:
        return spec, f"{len(missing)} tensors are missing, such as '{missing[0]}'"
    if missing:
        return spec, f"tensor '{missing[0]}' is missing"
    return spec, None


def _shard(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    header = checkpoint.header(name)
    return {"file": name, "bytes": header.file_size, "tensors": len(header.tensors)}


def _parameters(infos: Iterable[_files.TensorInfo], quantised: dict[str, Quantised]) -> int:
    """How many numbers the weights are, whatever they are stored as."""
    parts = {name for _, codes, scales, _ in quantised.values() for name in (codes, scales)}
    plain = sum(info.numel for info in infos if info.name not in parts)
    return plain + sum(math.prod(shape) for *_, shape in quantised.values())


def _quantisation(config: dict[str, Any], dtypes: set[str], tensors: int) -> str | None:
    """The method that config.json names, else what the stored types suggest."""
    for key in ("quantization_config", "compression_config"):
        found = config.get(key)
        if isinstance(found, dict):
            method = found.get("quant_method") or found.get("format") or "unnamed"
            bits = found.get("bits") or (4 if found.get("load_in_4bit") else None)
            block = found.get("weight_block_size")
            parts = [str(method)]
            parts += [f"{bits} bits"] if bits else []
            parts += [f"blocks of {' x '.join(map(str, block))}"] if block else []
            parts += [f"{tensors:,} tensors, which a commit writes in BF16"] if tensors else []
            return ", ".join(parts)
    narrow = sorted(d for d in dtypes if d.startswith(("F4", "F6", "F8")))
    return f"stored as {', '.join(narrow)}" if narrow else None


def _chat_template(folder: Path) -> str | None:
    """The file that holds the chat template."""
    for name in ("chat_template.jinja", "chat_template.json"):
        if (folder / name).is_file():
            return name
    settings = folder / "tokenizer_config.json"
    if settings.is_file():
        try:
            found = json.loads(settings.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{settings}: {error}") from None
        if isinstance(found, dict) and found.get("chat_template"):
            return settings.name
    return None


def human_bytes(count: int) -> str:
    """A number of bytes as people write it: 1.31 MB."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _lines(found: Inspection) -> list[tuple[str, str]]:
    architecture = found.architecture or found.model_type or "unknown (no config.json says it)"
    dtypes = ", ".join(
        d if len(found.dtypes) == 1 else f"{d} ({row['parameters']:,})"
        for d, row in sorted(found.dtypes.items())
    )
    files = len(found.shards)
    where = (
        f"{files} files by {found.index}"
        if found.index
        else (found.shards or [{"file": "-"}])[0]["file"]
    )
    tied = {
        True: "yes: the unembedding is the embedding",
        False: "no",
        None: "config.json does not say",
    }
    lines = [
        ("checkpoint", found.path),
        ("family", architecture),
        ("parameters", f"{found.parameters:,} in {found.tensors:,} tensors"),
        ("stored as", f"{dtypes or 'nothing'}, {human_bytes(found.bytes)}"),
        ("files", where),
    ]
    if found.sizes:
        sizes = ", ".join(f"{found.sizes[key]:,} {word}" for key, word in SIZES.items())
        lines.append(("sizes", sizes))
    lines += [
        ("tied", tied[found.tied]),
        ("quantised", found.quantisation or "no"),
        ("tokenizer", ", ".join(found.tokenizer) or "none"),
        ("chat template", found.chat_template or "none"),
    ]
    if found.unknown_keys:
        lines.append(
            ("unknown keys", f"{', '.join(found.unknown_keys)} (in config.json, not understood)")
        )
    if found.unused_weights:
        lines.append(("unused", ", ".join(found.unused_weights)))
    if found.trailing_bytes:
        lines.append(("lenient", f"needed: {found.trailing_bytes:,} bytes after the last tensor"))
    if found.supported:
        lines.append(("Lenswright", "loads it: look, try, measure, bake"))
    else:
        lines.append(
            ("Lenswright", f"reads and compares its tensors, but loads no model: {found.problem}")
        )
    return lines
