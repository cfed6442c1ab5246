"""Memory and time of loading a 1 GB bfloat16 checkpoint, and of a first forward of 8 tokens.

Ours and `transformers`, each in a process of its own, over the same folder (random weights of
Qwen2.5-0.5B's shapes). Private memory is the increase of `Anonymous` in /proc/self/smaps_rollup
over `import torch`, memory in all that of `Rss`, mapped pages of the file included; both as shares
of the checkpoint. Limits: 0.2 private after the load, 1.1 in all after the forward.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Sample = dict[str, float]


def memory() -> dict[str, int]:
    """Bytes of `Anonymous` and `Rss` now."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    return {"private": sizes["Anonymous"], "all": sizes["Rss"]}


def load_ours(folder: Path) -> Any:
    import lenswright as lw

    return lw.load(folder)


def load_theirs(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


LOADERS = {"ours": load_ours, "transformers": load_theirs}


def child(which: str, folder: Path) -> Sample:
    """What one process measures of itself."""
    import torch

    base = memory()
    start = time.perf_counter()
    if which == "ours":
        import lenswright

        assert lenswright.load
    else:
        from transformers import LlamaForCausalLM

        assert LlamaForCausalLM
    imported = time.perf_counter()
    model = LOADERS[which](folder)
    loaded = time.perf_counter()
    after_load = memory()
    with torch.no_grad():
        model(torch.arange(1, 9)[None])
    done = time.perf_counter()
    after_run = memory()
    found = {
        "import s": imported - start,
        "load s": loaded - imported,
        "first forward s": done - loaded,
    }
    for name, then in (("load", after_load), ("forward", after_run)):
        for kind in ("private", "all"):
            found[f"{kind} after {name}"] = float(then[kind] - base[kind])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--child", choices=LOADERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(arguments.child, arguments.folder)))
        return 0
    from bench_commit import SHAPES, write_checkpoint
    from measuring import machine

    work = Path(tempfile.mkdtemp(prefix="bench_load_"))
    try:
        folder = work / "qwen"
        write_checkpoint(folder, SHAPES, True)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(machine())
        found: dict[str, list[Sample]] = {which: [] for which in LOADERS}
        for _ in range(arguments.processes):
            for which in LOADERS:
                command = [sys.executable, __file__, "--child", which, "--folder", str(folder)]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
                found[which].append(json.loads(said.splitlines()[-1]))
    finally:
        shutil.rmtree(work)
    return show(found, size)


def show(found: dict[str, list[Sample]], size: int) -> int:
    """Print the table (memory of the worst process, median seconds); 1 where a limit is missed."""
    limits = {"private after load": 0.2, "all after forward": 1.1}
    print(f"checkpoint of {size / 1e9:.2f} GB, {len(found['ours'])} processes each")
    print(f"{'':24}{'ours':>10}{'reference':>12}{'limit':>8}{'ratio':>8}")
    missed = []
    for name in found["ours"][0]:
        seconds = name.endswith(" s")
        pick = statistics.median if seconds else max
        scale = 1.0 if seconds else float(size)
        ours, theirs = (pick(one[name] for one in found[which]) / scale for which in LOADERS)
        limit = limits.get(name)
        print(
            f"{name:24}{ours:10.3f}{theirs:12.3f}{limit if limit else '-':>8}{ours / theirs:8.2f}"
        )
        missed += [name] if limit is not None and ours > limit else []
    print(f"memory in shares of the checkpoint; missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
