"""`lenswright align`: a model's units in another model's order."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Write a model with its units in the order that brings its weights nearest to a reference's (Git
Re-Basin's weight matching): neurons of MLPs, heads, experts, latents, coordinates of the residual
stream. The result computes what the model computed, and merges better with the reference. All
families that can be loaded; parts that may not move in one are kept, and told.

  lenswright align model/ reference/ aligned/
  lenswright align model/ reference/ aligned/ --parts mlp heads

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("model", help="folder or hub id of the model to reorder")
    add("reference", help="folder or hub id of a model of the same shapes")
    options.add_output(parser)
    add("--parts", nargs="+", metavar="PART",
        help="of mlp, heads, experts, latents, residual (default: all that may move)")  # fmt: skip
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Align."""
    from lenswright.merging.alignment.run import align

    done = align(args.model, args.reference, args.out, args.parts)
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
