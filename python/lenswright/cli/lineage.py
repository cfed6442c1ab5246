"""`lenswright lineage`: of which models a checkpoint was merged, and how much of each."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Find of which candidates a checkpoint was merged and with what weights: least squares over its
tensors, for the whole model and layer by layer, with standard errors and what stays unexplained.
Exact for averages and for task arithmetic whose base is a candidate. Of merges that keep only some
elements (ties and its kin) the weights are as much smaller as less was kept. Layers that were moved
or copied (slices, frankenmerges) are told one by one: which layer of which candidate each is, by
its bytes, or the nearest one.

  lenswright lineage base/ tuned-a/ tuned-b/ --of merged/
  lenswright lineage a/ b/ c/ --of merged/ --positive --sample 16

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("candidates", nargs="+", help="two or more checkpoint folders, files or hub ids")
    add("--of", required=True, metavar="CHECKPOINT", help="what was merged")
    add("--positive", action="store_true", help="no weight below 0")
    add("--sample", type=int, default=1, metavar="N",
        help="look at one piece of 262,144 elements in N (default: 1, all)")  # fmt: skip
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Find them."""
    from lenswright.checkpoints.checkpoint import Checkpoint
    from lenswright.merging.lineage import lineage
    from lenswright.progress import Progress

    total = sum(info.numel for info in Checkpoint(args.of).tensors())
    with Progress("comparing", total, "elements") as bar:
        found = lineage(
            args.candidates, args.of, positive=args.positive, sample=args.sample,
            progress=lambda done, _total: bar.step(done - bar.done),
        )  # fmt: skip
    print(json.dumps(found.to_json(), indent=2) if args.json else found.text())
    return 0
