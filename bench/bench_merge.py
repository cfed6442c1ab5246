"""Merges, whole processes, page cache warm, against the floor and mergekit 0.1.5 in the same run.

Ours: `lenswright merge` of bfloat16 checkpoints (random weights of Qwen2.5-0.5B's shapes, each
fine-tune the base moved a little). Floor: reading every input with `cat`, writing one output with
`cp`, then `sync`. mergekit, where LENSWRIGHT_MERGEKIT names a folder it is installed in, does the
same recipe. Wall seconds, CPU seconds, private memory (Anonymous of smaps_rollup). Limits: 1.25
times the floor element by element, 2 in two passes, 3 where something is drawn or ranked; 8 times
mergekit, 25 times for ties and dare; 1 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_commit import SHAPES, write_checkpoint

WEIGHTS = {"weight": 0.4}
DROPS = {"weight": 0.4, "density": 0.5}
# method -> (models beside the base, base, parameters, parameters of each, limit over the floor,
#            limit over mergekit)
METHODS: dict[str, tuple[int, bool, dict[str, Any], dict[str, Any], float, float]] = {
    "linear": (3, False, {}, WEIGHTS, 1.25, 8),
    "passthrough": (1, False, {}, {}, 1.25, 8),
    "task_arithmetic": (2, True, {}, WEIGHTS, 1.25, 8),
    "nearswap": (1, True, {"t": 0.001}, {}, 1.25, 8),
    "ram": (2, True, {}, {}, 1.25, 8),
    "slerp": (1, True, {"t": 0.4}, {}, 2, 8),
    "nuslerp": (2, False, {}, WEIGHTS, 2, 8),
    "multislerp": (3, False, {}, WEIGHTS, 2, 8),
    "karcher": (3, False, {}, {}, 2, 8),
    "model_stock": (2, True, {}, {}, 2, 8),
    "ramplus_tl": (2, True, {}, {}, 2, 8),
    "ties": (2, True, {}, DROPS, 3, 25),
    "dare_linear": (2, True, {}, DROPS, 3, 25),
    "dare_ties": (2, True, {}, DROPS, 3, 25),
    "breadcrumbs": (2, True, {}, DROPS, 3, 8),
    "breadcrumbs_ties": (2, True, {}, DROPS, 3, 8),
    "della": (2, True, {}, DROPS, 3, 8),
    "della_linear": (2, True, {}, DROPS, 3, 8),
    "sce": (2, True, {"select_topk": 0.5}, {}, 3, 8),
    "arcee_fusion": (1, True, {}, {}, 3, 8),
}


@dataclass
class Cost:
    """Of one process."""

    wall: float
    cpu: float
    private: int


def watch(process: subprocess.Popen[bytes], peak: list[int]) -> None:
    path = Path(f"/proc/{process.pid}/smaps_rollup")
    while process.poll() is None:
        try:
            text = path.read_text()
        except OSError:
            return
        if "Anonymous:" in text:
            peak[0] = max(peak[0], 1024 * int(text.split("Anonymous:")[1].split()[0]))
        time.sleep(0.01)


def cost(command: Sequence[str], memory: bool = False, **environment: str) -> Cost:
    """Run a process to its end. Looking at its memory costs time: a run of its own."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), [0]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | environment
    )
    if memory:
        thread = threading.Thread(target=watch, args=(process, peak))
        thread.start()
    error = process.communicate()[1]
    wall = time.perf_counter() - start
    if memory:
        thread.join()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {error.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, peak[0])


def fine_tune(base: Path, folder: Path, seed: int, amount: float) -> None:
    """The base with every number moved by a share of its size."""
    from lenswright import Checkpoint, _files

    source = Checkpoint(base)
    generator = torch.Generator().manual_seed(seed)
    with _files.FolderWriter(folder) as out:
        infos = source.tensors()
        specs = [(info.name, info.dtype, list(info.shape)) for info in infos]
        shard = out.shard("model.safetensors", specs, {"format": "pt"})
        for info in infos:
            value = source[info.name].float()
            value += amount * value.std() * torch.randn(value.shape, generator=generator)
            shard.write(info.name, 0, value.bfloat16().flatten().view(torch.uint8).numpy())
        out.copy_file(base / "config.json")
        out.commit()


def recipe_of(method: str, folders: Sequence[Path]) -> dict[str, Any]:
    count, base, shared, own, *_ = METHODS[method]
    first = 1 if base else 0
    recipe: dict[str, Any] = {
        "merge_method": method, "dtype": "bfloat16", "parameters": shared,
        "models": [{"model": str(f), "parameters": own} for f in folders[first : first + count]],
    }  # fmt: skip
    return recipe | ({"base_model": str(folders[0])} if base else {})


def floor(inputs: Sequence[str], out: Path) -> float:
    """Reading all inputs, writing the first once more."""
    start = time.perf_counter()
    for path in inputs[1:]:
        subprocess.run(f"cat {path}/*.safetensors > /dev/null", shell=True, check=True)
    subprocess.run(["cp", "-r", inputs[0], out], check=True)
    os.sync()  # ours, too, is on the disk when it is done
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds


def measure(
    method: str, folders: Sequence[Path], work: Path, rounds: int, peer_rounds: int
) -> bool:
    """One row of the table; whether every limit was kept."""
    *_, over_floor, under_theirs = METHODS[method]
    recipe = recipe_of(method, folders)
    inputs = [m["model"] for m in recipe["models"]]
    inputs += [recipe["base_model"]] if "base_model" in recipe else []
    file, out = work / "recipe.yml", work / "out"
    file.write_text(json.dumps(recipe))  # JSON is YAML
    home = os.environ.get("LENSWRIGHT_MERGEKIT", "")
    ours = [sys.executable, "-m", "lenswright", "merge", str(file), str(out)]
    theirs = [sys.executable, "-m", "mergekit.scripts.run_yaml", str(file), str(out), "--quiet"]
    walls, cpus, floors, others = [], [], [], []
    private = cost(ours, memory=True).private
    shutil.rmtree(out)
    for i in range(rounds):
        os.sync()  # what the disk still has to write is nobody's time
        floors.append(floor(inputs, work / "copy"))
        spent = cost(ours)
        walls.append(spent.wall)
        cpus.append(spent.cpu)
        shutil.rmtree(out)
        if home and i < peer_rounds:
            others.append(cost(theirs, PYTHONPATH=home, TRANSFORMERS_OFFLINE="1").wall)
            shutil.rmtree(out)
    wall, low = statistics.median(walls), statistics.median(floors)
    ratio = statistics.median(a / b for a, b in zip(walls, floors, strict=True))
    row = f"{method:18}{wall:8.2f}{statistics.median(cpus):8.2f}{private / 1e6:9.0f}{low:8.2f}"
    row += f"{ratio:8.2f}{over_floor:7.2f}"
    kept = ratio <= over_floor and private <= 1e9
    if others:
        faster = statistics.median(b / a for a, b in zip(walls, others, strict=False))
        row += f"{statistics.median(others):10.2f}{faster:8.1f}{under_theirs:7.0f}"
        kept = kept and faster >= under_theirs
    print(row + ("" if kept else "   MISSED"), flush=True)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="alternations (default 3)")
    parser.add_argument("--layers", type=int, default=24, help="of the model (default 24: 1 GB)")
    parser.add_argument("--vocabulary", type=int, default=151936, help="rows of the embedding")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--peer-rounds", type=int, metavar="N",
        help="alternations in which mergekit runs, too (default: all)")  # fmt: skip
    arguments = parser.parse_args()
    rounds = arguments.rounds
    peer_rounds = rounds if arguments.peer_rounds is None else arguments.peer_rounds
    shapes = SHAPES | {
        "num_hidden_layers": arguments.layers, "vocab_size": arguments.vocabulary
    }  # fmt: skip
    work = Path(tempfile.mkdtemp(prefix="bench_merge_", dir=arguments.folder))
    try:
        folders = [work / f"model{i}" for i in range(3)]
        write_checkpoint(folders[0], shapes, True)
        for i in (1, 2):
            fine_tune(folders[0], folders[i], i, 0.02)
        size = sum(file.stat().st_size for file in folders[0].iterdir())
        print(f"{size / 1e9:.2f} GB each, {os.cpu_count()} processors, {rounds} rounds")
        print(f"{'':18}{'wall s':>8}{'CPU s':>8}{'priv. MB':>9}{'floor':>8}{'ratio':>8}{'limit':>7}"
              f"{'mergekit':>10}{'faster':>8}{'limit':>7}")  # fmt: skip
        kept = [measure(method, folders, work, rounds, peer_rounds) for method in arguments.methods]
        return 0 if all(kept) else 1
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    raise SystemExit(main())
