"""`lenswright review`: what a merge did, as a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lenswright.cli import options

HELP = """\
Look back at a merge: by its lenswright.json, how each model and the merged one differ from the base
(sizes, shares changed, effective densities, cosines, signs in conflict; by tensor and by layer),
which weights explain it, and with --held-out the loss of each model and of the merged one beside
what two rules would have foretold. Prints a summary; --out writes a page with pictures.

  lenswright review merged/
  lenswright review merged/ --held-out held.jsonl --out report/

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("folder", type=Path, help="what `lenswright merge` wrote")
    add("--held-out", type=Path, metavar="FILE",
        help="a text, or prompts with answers (.jsonl, .json, .csv)")  # fmt: skip
    add("--out", type=Path, metavar="FOLDER", help="folder for report.html and report.json")
    options.add_threads(parser)
    options.add_batch_size(parser, 64, "rows a run")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Make the report."""
    from lenswright.merging.report import merge_report

    if args.threads < 0:
        raise ValueError(f"threads is {args.threads}, expected 0 or more")
    report = merge_report(
        args.folder, args.held_out, threads=args.threads, batch_size=args.batch_size
    )
    print(json.dumps(report.to_json(), indent=2) if args.json else report.text())
    if args.out is not None:
        page = report.save(args.out)
        if not args.json:
            print(f"report   {page}")
    return 0
