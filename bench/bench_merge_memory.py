"""Private memory of merging checkpoints of any size, sampled through the whole run.

The base holds small random bfloat16 numbers, the other model zeros in a sparse file, so that only
one input and the output take room on the disk. Private memory is Anonymous of smaps_rollup, looked
at every 10 ms; the limits are what --dry-run states, and 1 GB.

Beside it the page cache: an unrelated file of 1 GB is read before every merge, and how much of it,
of the inputs and of the output the cache holds afterwards is asked of mincore. A merge that would
take more than half of the free memory gives its pages back; limit: 99 % of the file stay.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_merge import METHODS, cost, recipe_of

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "torch_dtype": "bfloat16",
}  # fmt: skip
WEIGHTS_FILE = "model.safetensors"
EMBEDDING = [128256, 4096]
LAYER = {
    "self_attn.q_proj": [4096, 4096], "self_attn.k_proj": [1024, 4096],
    "self_attn.v_proj": [1024, 4096], "self_attn.o_proj": [4096, 4096],
    "mlp.gate_proj": [14336, 4096], "mlp.up_proj": [14336, 4096], "mlp.down_proj": [4096, 14336],
    "input_layernorm": [4096], "post_attention_layernorm": [4096],
}  # fmt: skip


def header_of(gigabytes: float) -> tuple[bytes, int, int]:
    """The head of a file, the bytes after it, and the layers that fit."""
    names: dict[str, Any] = {}
    at, layers = 0, 0

    def add(name: str, shape: list[int]) -> None:
        nonlocal at
        size = 2 * int(np.prod(shape))
        names[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size

    add("model.embed_tokens.weight", EMBEDDING)
    while at < gigabytes * 1e9:
        for name, shape in LAYER.items():
            add(f"model.layers.{layers}.{name}.weight", shape)
        layers += 1
    add("model.norm.weight", [4096])
    text = json.dumps(names).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, at, layers


def write(folder: Path, gigabytes: float, filled: bool) -> int:
    """A checkpoint, sparse unless `filled`; its bytes."""
    head, size, layers = header_of(gigabytes)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": layers}))
    random = np.random.default_rng(0)
    wide = random.standard_normal(1 << 25, dtype=np.float32) * np.float32(0.02)
    block = (wide.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(head)
        for _ in range(size // len(block) if filled else 0):
            file.write(block)
        file.write(block[: size % len(block)] if filled else b"")
        file.truncate(len(head) + size)
    return len(head) + size


def cached(path: Path) -> float:
    """Gigabytes of a file that lie in the page cache (mincore)."""
    size = path.stat().st_size
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    with path.open("rb") as file:
        at = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    pages = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
    failed = library.mincore(at, size, pages.ctypes.data)
    library.munmap(at, size)
    if failed:
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return float((pages & 1).sum()) * mmap.PAGESIZE / 1e9


def measure(method: str, folders: Sequence[Path], work: Path, memory: str) -> bool:
    """One row of the table; whether both limits were kept."""
    recipe, file, out = recipe_of(method, folders), work / "recipe.yml", work / "out"
    file.write_text(json.dumps(recipe))  # JSON is YAML
    command = [sys.executable, "-m", "lenswright", "merge", str(file), str(out), "--json"]
    command += ["--memory", memory] if memory else []
    plan = json.loads(os.popen(" ".join([*command, "--dry-run"])).read())
    hot = work / "hot"
    hot.write_bytes(bytes(10**9))
    os.sync()
    before = cached(hot)
    spent = cost(command, memory=True)
    shares = [
        cached(hot),
        sum(cached(f / WEIGHTS_FILE) for f in folders),
        cached(out / WEIGHTS_FILE),
    ]
    shutil.rmtree(out)
    hot.unlink()
    bound = plan["memory_bytes"]
    kept = spent.private <= min(bound, 1e9) and shares[0] >= 0.99 * before
    row = f"{method:18}{spent.wall:8.1f}{spent.cpu:8.1f}{spent.private / 1e6:10.0f}"
    row += f"{bound / 1e6:8.0f}" + "".join(f"{share:8.2f}" for share in shares)
    print(row + ("" if kept else "   MISSED"), flush=True)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=12, help="of a checkpoint (default 12)")
    parser.add_argument("--memory", default="", help="passed on to the merge")
    parser.add_argument("--methods", nargs="+", default=["ties"], metavar="NAME",
                        help="with two inputs at most (default: ties)")  # fmt: skip
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    for method in arguments.methods:
        METHODS[method] = (1, *METHODS[method][1:])
    work = Path(tempfile.mkdtemp(prefix="bench_merge_memory_", dir=arguments.folder))
    try:
        folders = [work / "base", work / "other"]
        size = write(folders[0], arguments.gigabytes, True)
        write(folders[1], arguments.gigabytes, False)
        print(f"{size / 1e9:.2f} GB each, {os.cpu_count()} processors")
        print(f"{'':18}{'wall s':>8}{'CPU s':>8}{'priv. MB':>10}{'stated':>8}"
              f"{'hot GB':>8}{'inputs':>8}{'output':>8}")  # fmt: skip
        kept = [measure(name, folders, work, arguments.memory) for name in arguments.methods]
        return 0 if all(kept) else 1
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    raise SystemExit(main())
