"""`lenswright merge`: checkpoints into one, by a recipe of mergekit's grammar."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = """\
Merge checkpoints into a new folder, by a YAML recipe of mergekit's grammar. Everything is checked
before the first byte is written; arithmetic is float64, rounded once; the same recipe, models and
seed give the same bytes.

  lenswright merge recipe.yml merged/
  lenswright merge recipe.yml merged/ --dry-run
  lenswright merge recipe.yml merged/ --compat       as mergekit 0.1.5 computes

Flags of mergekit-yaml are understood; those that mean nothing here say so in one line.

Exit code: 0 when done, 2 when the call itself was wrong.
"""

# flags of mergekit-yaml without a meaning here, and their --no- forms -> why
NEEDLESS = {
    "--cuda": "the disk is the limit, not the processor",
    "--gpu-rich": "the disk is the limit, not the processor",
    "--low-cpu-memory": "memory does not grow with the models",
    "--read-to-gpu": "the disk is the limit, not the processor",
    "--multi-gpu": "the disk is the limit, not the processor",
    "--lazy-unpickle": "pickled weights are never opened",
    "--async-write": "every tile is written as soon as it is computed",
    "--clone-tensors": "nothing is shared between input and output",
    "--trust-remote-code": "no code of a model is ever run",
    "--safe-serialization": "only safetensors are written",
    "--write-model-card": "lenswright.json says what was done",
    "--copy-tokenizer": "the tokenizer comes along always",
    "--quiet": "progress is shown on a terminal only",
    "--verbose": "lenswright.json says what was done",
    "--unsafe-truncate-embeddings": "--compat cuts embeddings to the rows that all models have, "
    "--strict asks for a tokenizer section",
}
# likewise, with a value
NEEDLESS_WITH_VALUE = {
    "--device": "the disk is the limit, not the processor",
    "--lora-merge-cache": "adapters are added where a tensor is read",
    "--lora-merge-dtype": "adapters are added in float64",
    "--transformers-cache": "HF_HOME says where downloads go",
    "--write-threads": "--threads is for reading and writing, too",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("recipe", type=Path, help="YAML file; several documents are stages")
    add("out", type=Path, help="folder to write; must not exist")
    add("--dry-run", action="store_true", help="check and plan only: bytes, memory, tensors")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--strict", dest="mode", action="store_const", const="strict",
                      default="strict", help="published formulas (default)")  # fmt: skip
    mode.add_argument("--compat", dest="mode", action="store_const", const="compat",
                      help="what mergekit 0.1.5 computes")  # fmt: skip
    add("--seed", "--random-seed", type=int, default=0, metavar="N",
        help="of methods that drop at random (default: 0)")  # fmt: skip
    add("--shard-size", "--out-shard-size", default="5GB", metavar="SIZE",
        help="of a file at most (default: 5GB)")  # fmt: skip
    add("--threads", "-j", "--num-threads", type=int, default=0, metavar="N",
        help="threads (default: one per processor)")  # fmt: skip
    add("--memory", default="0", metavar="SIZE",
        help="private memory at most, such as 500MB (default: what is quickest)")  # fmt: skip
    add("--allow-crimes", action="store_true", help="merge models of different types")
    add("--no-allow-crimes", action="store_false", dest="allow_crimes", help=argparse.SUPPRESS)
    add("--resume", action="store_true",
        help="go on with what a killed run of the same merge left, stage and all")  # fmt: skip
    add("--json", action="store_true", help="print the result as JSON")
    for flag in NEEDLESS:
        for form in (flag, f"--no-{flag[2:]}"):
            add(form, action="append_const", dest="needless", const=form, help=argparse.SUPPRESS)
    add("-v", action="append_const", dest="needless", const="--verbose", help=argparse.SUPPRESS)
    for flag in NEEDLESS_WITH_VALUE:
        add(flag, metavar="VALUE", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Merge."""
    from lenswright.merging.merge import merge

    told = {flag: NEEDLESS[flag.replace("--no-", "--")] for flag in args.needless or []}
    for flag, why in NEEDLESS_WITH_VALUE.items():
        if getattr(args, flag[2:].replace("-", "_")) is not None:
            told[flag] = why
    for flag, why in told.items():
        print(f"lenswright: {flag} has no effect: {why}", file=sys.stderr)
    done = merge(
        args.recipe, args.out, args.mode, seed=args.seed, threads=args.threads,
        shard_size=args.shard_size, dry_run=args.dry_run, allow_crimes=args.allow_crimes,
        resume=args.resume, memory=args.memory if args.memory != "0" else 0,
    )  # fmt: skip
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
