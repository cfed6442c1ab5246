"""`lenswright extract`: a LoRA adapter from a fine-tuned model and its base."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Write what a tuned model has that its base lacks as a PEFT LoRA adapter. Every module's error is
stated: the part of the change that the factors lack, in Frobenius norm.

  lenswright extract base/ tuned/ adapter/ --rank 32
  lenswright extract base/ tuned/ adapter/ --rank 32 --method exact
  lenswright extract base/ tuned/ adapter/ --others refuse    only changes of linear modules

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("base", help="folder or hub id")
    add("tuned", help="folder or hub id of a model tuned from it")
    options.add_output(parser)
    add("--rank", "-r", type=int, default=16, metavar="N", help="at most (default: 16)")
    add("--method", choices=("exact", "randomised"), default="randomised",
        help="whole singular value decomposition, or a random sketch's (default)")  # fmt: skip
    add("--others", choices=("save", "refuse", "leave"), default="save",
        help="changed norms, embeddings and biases: save their modules whole (default), refuse "
        "them, or leave them as in the base")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="of the sketch (default: 0)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Extract."""
    from lenswright.merging.extraction import extract_adapter

    done = extract_adapter(
        args.base, args.tuned, args.out, args.rank, method=args.method, others=args.others,
        seed=args.seed,
    )  # fmt: skip
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
