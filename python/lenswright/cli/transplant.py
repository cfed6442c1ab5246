"""`lenswright transplant`: a model with another model's tokenizer."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Write a model with another model's tokenizer. Tokens of the same text keep their rows of the
embeddings; rows of the others are made:

  omp      sparse sums of shared tokens' rows, found in the donor (default)
  nearest  the mean of the k shared tokens nearest in the donor
  subword  the mean of the rows of the pieces that the model's own tokenizer finds
  mean     the mean of all rows
  zero     zeros
  normal   drawn with mean and covariance of the model's rows

  lenswright transplant model/ donor/ out/
  lenswright transplant model/ donor/ out/ --method nearest -k 8

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("model", help="folder or hub id of the model that gets another tokenizer")
    add("donor", help="folder or hub id whose tokenizer it gets")
    options.add_output(parser)
    add("--method", default="omp", metavar="NAME", help="of rows for new tokens (default: omp)")
    add("-k", type=int, default=64, metavar="N", help="for omp and nearest (default: 64)")
    add("--seed", type=int, default=0, metavar="N", help="for normal (default: 0)")
    options.add_shard_size(parser)
    options.add_threads(parser, "-j")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Transplant."""
    from lenswright.merging.transplant.run import transplant

    done = transplant(
        args.model, args.donor, args.out, args.method, k=args.k, seed=args.seed,
        threads=args.threads, shard_size=args.shard_size,
    )  # fmt: skip
    print(json.dumps(done.to_json(), indent=2) if args.json else done.text())
    return 0
