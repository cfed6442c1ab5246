"""`lenswright diff`: what differs between two checkpoints."""

from __future__ import annotations

import argparse
import json

from lenswright.cli import options

HELP = """\
Compare two checkpoints tensor by tensor, and their config.json and other files. For each changed
tensor: |b - a| / |a| (Frobenius), the largest difference, the cosine, and how many elements differ,
in float64. Different sharding or order of the same tensors is no difference.

With several checkpoints to compare with, the first is their base: what each did to it, layer by
layer, and how they agree: sizes, shares changed, cosines, signs in conflict.

Exit code: 0 when they are the same, 1 when they differ, 2 when the call itself was wrong.

  lenswright diff before/ after/
  lenswright diff before/ after/ --json
  lenswright diff base/ tuned-a/ tuned-b/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("a", help="checkpoint folder, .safetensors file, or a hub id")
    parser.add_argument("b", nargs="+", help="what it is compared with")
    options.add_json(parser)
    parser.add_argument("--all", action="store_true", help="list unchanged tensors, too")
    options.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Print the differences; 0 for none, 1 for some."""
    from lenswright.checkpoints.checkpoint import Checkpoint
    from lenswright.checkpoints.differing import diff
    from lenswright.progress import Progress

    if args.threads < 0:
        raise ValueError(f"threads is {args.threads}, expected 0 or more")
    if len(args.b) > 1:
        return _tasks(args)
    a, b = Checkpoint(args.a), Checkpoint(args.b[0])
    with Progress("comparing", sum(info.nbytes for info in a.tensors()), "bytes") as bar:
        found = diff(a, b, lambda done, _total: bar.step(done - bar.done), args.threads)
    if args.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print(found.text(args.all))
    return 0 if found.same else 1


def _tasks(args: argparse.Namespace) -> int:
    from lenswright.checkpoints.checkpoint import Checkpoint
    from lenswright.merging.tasks import task_vectors
    from lenswright.progress import Progress

    total = sum(info.nbytes for info in Checkpoint(args.a).tensors())
    with Progress("comparing", total, "bytes") as bar:
        found = task_vectors(
            args.a, args.b, lambda done, _total: bar.step(done - bar.done), args.threads
        )
    print(json.dumps(found.to_json(), indent=2) if args.json else found.text())
    return 1 if any(any(tensor.changed) for tensor in found.tensors) else 0
