"""`lenswright revert`: an edited checkpoint back to what it was made of."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = """\
Write the checkpoint that the last commit to FOLDER was made of, bit for bit, from the edited
weights, lenswright.json and the journal that a commit with --journal keeps. Every tensor that the
commit changed has its SHA-256 of before, or nothing is written. FOLDER stays as it is, unless it is
reverted in place.

  lenswright ablate MODEL --positive a.jsonl --negative b.jsonl --out edited/ --journal
  lenswright revert edited/ --out original/
  lenswright revert edited/ --in-place

Exit code: 0 when done, 2 when the call itself was wrong or a tensor, named, is not what was
committed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("folder", type=Path, help="checkpoint folder that a commit wrote")
    add("--out", type=Path, metavar="FOLDER", help="to write; must not exist")
    add("--in-place", action="store_true",
        help="FOLDER itself becomes the original again: that is written beside it, which needs its "
        "room, and takes its place in one step at the end; killed at any moment, FOLDER is the "
        "edited one or the original")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Revert and say what was done."""
    from lenswright import edits

    if args.in_place == (args.out is not None):
        raise ValueError("expected one of --out FOLDER and --in-place")
    print(edits.revert(args.folder, args.out, in_place=args.in_place))
    return 0
