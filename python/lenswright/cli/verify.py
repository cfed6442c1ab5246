"""`lenswright verify`: does a checkpoint give the numbers that transformers gives?"""

from __future__ import annotations

import argparse
import json
import sys

HELP = """\
Run a checkpoint here and in Hugging Face transformers, and compare the logits and the activation at
every named point. The reference computes in float64 throughout, so the error printed is ours.
Needs transformers, and memory for the model in float64 (8 bytes a parameter).

Exit code: 0 when everything agrees, 1 when something differs, 2 when the call itself was wrong.

  lenswright verify my-model/
  lenswright verify my-model/ --dtype float32 --prompt "Once upon a time"
  lenswright verify my-model/ --points "blocks.3.*" --expanded --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("model", help="checkpoint folder, or a hub id")
    add(
        "--dtype",
        default="float64",
        metavar="TYPE",
        help="type of the computation here: float64 (default), float32, float16, bfloat16",
    )
    add("--device", default="cpu", help="where to compute here (default: cpu)")
    add(
        "--prompt",
        action="append",
        default=[],
        metavar="TEXT",
        help="a text to run; may be repeated",
    )
    add(
        "--rows",
        type=int,
        default=2,
        metavar="N",
        help="rows of random tokens to run beside the prompts (default: 2)",
    )
    add("--length", type=int, default=24, metavar="N", help="random tokens in a row (default: 24)")
    add("--seed", type=int, default=0, help="seed of the random tokens (default: 0)")
    add(
        "--points",
        action="append",
        metavar="GLOB",
        help="compare only points that match; may be repeated (default: all)",
    )
    add(
        "--expanded",
        action="store_true",
        help="also points that exist only when they are named, such as attn.hook_result",
    )
    add(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest relative error that passes (default: 1e-10 in float64, 1e-5 in float32)",
    )
    add("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print, and answer 0 for agreement, 1 for a difference."""
    from lenswright.verify import verify

    def progress(stage: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{stage}", end="", file=sys.stderr, flush=True)

    try:
        found = verify(
            args.model,
            dtype=args.dtype,
            device=args.device,
            prompts=args.prompt,
            rows=args.rows,
            length=args.length,
            seed=args.seed,
            points=args.points or ["*"],
            expanded=args.expanded,
            tolerance=args.tolerance,
            progress=progress,
        )
    finally:
        progress("")
    print(json.dumps(found.to_json(), indent=2) if args.json else found)
    return 0 if found.ok else 1
