"""`lenswright revert`: an edited checkpoint back to what it was made of."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = """\
Write the checkpoint that the last commit to FOLDER was made of, bit for bit, from the edited
weights, lenswright.json and the journal that a commit with --journal keeps. Every tensor that the
commit changed has its SHA-256 of before, or nothing is written. FOLDER stays as it is.

  lenswright ablate MODEL --positive a.jsonl --negative b.jsonl --out edited/ --journal
  lenswright revert edited/ --out original/

Exit code: 0 when done, 2 when the call itself was wrong or a tensor, named, is not what was
committed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("folder", type=Path, help="checkpoint folder that a commit wrote")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="to write; must not exist"
    )


def run(args: argparse.Namespace) -> int:
    """Revert and say what was done."""
    from lenswright import edits

    print(edits.revert(args.folder, args.out))
    return 0
