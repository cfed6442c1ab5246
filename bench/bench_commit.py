"""Commit of an edit against its floor: copying as many bytes to the disk.

Ours: an edit of every writer of a 1 GB bfloat16 checkpoint (random weights of Qwen2.5-0.5B's
shapes, embeddings tied, hence untied by the edit) committed to a new folder. Floor: `cp -r` of the
folder that came out, followed by `sync`. Alternating, in one process; CPU seconds beside them, as
other work on the machine slows down who computes. Limits: 1.3 times the floor, 200 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SHAPES = {
    "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936,
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "hidden_act": "silu",
}  # fmt: skip


def private_bytes() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * int(text.split("Anonymous:")[1].split()[0])


@contextmanager
def peak_above(base: int) -> Iterator[list[int]]:
    """The most private memory above `base` while the block runs."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            peak[0] = max(peak[0], private_bytes() - base)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def write_checkpoint(folder: Path, shapes: dict[str, object], tied: bool) -> None:
    """A Llama-family checkpoint of random bfloat16 weights, through our writer."""
    from lenswright import _files

    config = shapes | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16",
        "tie_word_embeddings": tied, "rope_theta": 1000000.0,
    }  # fmt: skip
    d, mlp = shapes["hidden_size"], shapes["intermediate_size"]
    kv = d // shapes["num_attention_heads"] * shapes["num_key_value_heads"]
    sizes = {"model.embed_tokens.weight": [shapes["vocab_size"], d], "model.norm.weight": [d]}
    for layer in range(shapes["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        sizes |= {
            at + "input_layernorm.weight": [d], at + "post_attention_layernorm.weight": [d],
            at + "self_attn.q_proj.weight": [d, d], at + "self_attn.k_proj.weight": [kv, d],
            at + "self_attn.v_proj.weight": [kv, d], at + "self_attn.o_proj.weight": [d, d],
            at + "mlp.gate_proj.weight": [mlp, d], at + "mlp.up_proj.weight": [mlp, d],
            at + "mlp.down_proj.weight": [d, mlp],
        }  # fmt: skip
    if not tied:
        sizes["lm_head.weight"] = sizes["model.embed_tokens.weight"]
    names = sorted(sizes)
    torch.manual_seed(0)
    with _files.FolderWriter(folder) as out:
        specs = [(name, "BF16", sizes[name]) for name in names]
        shard = out.shard("model.safetensors", specs, {"format": "pt"})
        for name in names:
            value = torch.randn(sizes[name]).mul_(0.02).to(torch.bfloat16)
            shard.write(name, 0, value.view(torch.uint8).numpy())
        out.write_text("config.json", json.dumps(config, indent=2) + "\n")
        out.commit()


def timed(function: object, *arguments: object) -> float:
    start = time.perf_counter()
    function(*arguments)  # type: ignore[operator]
    return time.perf_counter() - start


def copy_and_sync(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)
    os.sync()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10, help="alternations (default 10)")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--untied", action="store_true", help="embeddings that are not tied")
    arguments = parser.parse_args()
    base = private_bytes()
    import lenswright as lw

    work = Path(tempfile.mkdtemp(prefix="bench_commit_", dir=arguments.folder))
    try:
        source, edit_file = work / "in", work / "edit.safetensors"
        write_checkpoint(source, SHAPES, not arguments.untied)
        model = lw.load(source)
        made = lw.edits.ablate(model, torch.randn(model.cfg.d_model))
        made.save(edit_file)
        del model
        edit = lw.edits.load(edit_file)
        # Looking at the memory costs time, so the timed runs are others. This one also warms up.
        with peak_above(private_bytes()) as peak:
            edit.commit(source, work / "out", progress=False)
        size = sum(f.stat().st_size for f in (work / "out").iterdir())
        os.sync()
        ours, floor, cpu = [], [], []
        for _ in range(arguments.pairs):
            spent = time.process_time()
            ours.append(timed(edit.commit, source, work / "again", False))
            cpu.append(time.process_time() - spent)
            shutil.rmtree(work / "again")
            os.sync()
            floor.append(timed(copy_and_sync, work / "out", work / "copy"))
            shutil.rmtree(work / "copy")
            os.sync()
        ratios = sorted(a / b for a, b in zip(ours, floor, strict=True))
        ratio, peak_mb = statistics.median(ratios), peak[0] / 1e6
        a, b = statistics.median(ours), statistics.median(floor)
        print(f"{size / 1e9:.2f} GB, {arguments.pairs} pairs, {torch.get_num_threads()} threads")
        print(f"{'':24}{'ours':>10}{'floor':>10}{'limit':>10}{'ratio':>10}")
        print(f"{'seconds (median)':24}{a:10.2f}{b:10.2f}{1.3 * b:10.2f}{ratio:10.2f}")
        print(f"{'  ratios from, to':24}{'':30}{ratios[0]:6.2f}, {ratios[-1]:.2f}")
        print(f"{'  CPU seconds':24}{statistics.median(cpu):10.2f}")
        print(f"{'private MB at peak':24}{peak_mb:10.1f}{'':10}{200:10}")
        print(f"{'  since import torch':24}{(private_bytes() - base) / 1e6:10.1f}")
        return 0 if ratio <= 1.3 and peak_mb <= 200 else 1
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    raise SystemExit(main())
