"""`lenswright merge`: checkpoints into one, by a recipe of mergekit's grammar."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

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
    options.add_recipe(parser, "YAML file; several documents are stages")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--strict", dest="mode", action="store_const", const="strict",
                      default="strict", help="published formulas (default)")  # fmt: skip
    mode.add_argument("--compat", dest="mode", action="store_const", const="compat",
                      help="what mergekit 0.1.5 computes")  # fmt: skip
    add("--seed", "--random-seed", type=int, default=0, metavar="N",
        help="of methods that drop at random (default: 0)")  # fmt: skip
    options.add_shard_size(parser, "--out-shard-size")
    options.add_threads(parser, "-j", "--num-threads")
    add("--memory", default="0", metavar="SIZE",
        help="private memory at most, such as 500MB (default: what is quickest)")  # fmt: skip
    add("--allow-crimes", action="store_true", help="merge models of different types")
    add("--no-allow-crimes", action="store_false", dest="allow_crimes", help=argparse.SUPPRESS)
    add("--resume", action="store_true",
        help="go on with what a killed run of the same merge left, stage and all")  # fmt: skip
    options.add_json(parser)
    options.add_needless(parser, NEEDLESS)
    add("-v", action="append_const", dest="needless", const="--verbose", help=argparse.SUPPRESS)
    for flag in NEEDLESS_WITH_VALUE:
        add(flag, metavar="VALUE", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Merge."""
    from lenswright.merging.merge import merge

    told = options.needless(args, NEEDLESS)
    for flag, why in NEEDLESS_WITH_VALUE.items():
        if getattr(args, flag[2:].replace("-", "_")) is not None:
            told[flag] = why
    options.tell_needless(told)
    done = merge(
        args.recipe, args.out, args.mode, seed=args.seed, threads=args.threads,
        shard_size=args.shard_size, dry_run=args.dry_run, allow_crimes=args.allow_crimes,
        resume=args.resume, memory=args.memory if args.memory != "0" else 0,
    )  # fmt: skip
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
