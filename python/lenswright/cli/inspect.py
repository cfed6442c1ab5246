"""`lenswright inspect`: what a checkpoint is."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lenswright.checkpoints.checkpoint import printable
from lenswright.cli import options

HELP = """\
Say what a checkpoint is and what Lenswright can do with it: family, parameters, types, files,
tokenizer, chat template, tied or not, quantised or not. Reads headers and config.json only,
whatever the size; never runs or unpickles anything. A hub id is downloaded first.

Exit code: 0 when the files are valid, 1 when --check finds NaN or infinite weights, 2 when the
checkpoint is refused or the call was wrong.

  lenswright inspect my-model/
  lenswright inspect my-model/model.safetensors --json
  lenswright inspect my-model/ --check          read every byte, print a SHA-256 for each tensor
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("path", help="checkpoint folder, .safetensors file, or a hub id")
    parser.add_argument("--revision", help="branch, tag or commit of a hub id")
    options.add_json(parser)
    parser.add_argument("--tensors", action="store_true", help="list every tensor")
    parser.add_argument("--check", action="store_true", help="read every byte, hash every tensor")
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="accept bytes after the last tensor, as some old files have",
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 when --check found numbers that are none."""
    from lenswright.checkpoints.checkpoint import Checkpoint
    from lenswright.checkpoints.inspecting import inspect

    checkpoint = Checkpoint(args.path, args.revision, args.lenient)
    found = inspect(checkpoint)
    checks = _check(checkpoint, found.bytes) if args.check else {}
    bad = {n: c for n, c in checks.items() if c.not_a_number or c.infinite}
    if args.json:
        result = found.to_json()
        if args.tensors or args.check:
            result["all_tensors"] = [_row(info, checks) for info in checkpoint.tensors()]
        print(json.dumps(result, indent=2))
    else:
        print(found)
        if args.tensors or args.check:
            _print_tensors(checkpoint, checks)
        if args.check:
            print(f"every byte read; {len(checks):,} tensors, {len(bad):,} with NaN or infinities")
            for name, check in bad.items():
                print(f"  {name}: {check.not_a_number:,} NaN, {check.infinite:,} infinite")
    return 1 if bad else 0


def _check(checkpoint: Any, size: int) -> dict[str, Any]:
    from lenswright.progress import Progress

    with Progress("reading", size, "bytes") as bar:
        return checkpoint.check(lambda done, _total: bar.step(done - bar.done))


def _row(info: Any, checks: dict[str, Any]) -> dict[str, Any]:
    row = {
        "name": info.name, "dtype": info.dtype, "shape": list(info.shape), "file": info.file,
        "begin": info.begin, "end": info.end,
    }  # fmt: skip
    if info.name in checks:
        check = checks[info.name]
        row |= {
            "sha256": check.sha256,
            "not_a_number": check.not_a_number,
            "infinite": check.infinite,
        }
    return row


def _print_tensors(checkpoint: Any, checks: dict[str, Any]) -> None:
    rows = [
        (printable(i.name), i.dtype, "x".join(map(str, i.shape)) or "scalar", i.file)
        for i in checkpoint.tensors()
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
    for info, row in zip(checkpoint.tensors(), rows, strict=True):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        print(f"  {line}  {checks[info.name].sha256 if checks else row[3]}")
