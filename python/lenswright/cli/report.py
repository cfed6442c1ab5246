"""`lenswright report`: two reports side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from lenswright.cli import options

HELP = """\
Compare two reports, each a report.json or the folder it lies in: measure by measure, with both
intervals. The right one is called better or worse only where the intervals lie apart. Also told:
what only one of them measured, and what is different in how they were made.

  lenswright report plain-report/ condition-report/
  lenswright report a/report.json b/report.json --save comparison.html

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("left", type=Path, help="report.json, or its folder")
    add("right", type=Path, help="report.json, or its folder")
    options.add_json(parser, "print the comparison as JSON")
    add(
        "--save",
        type=Path,
        metavar="PATH",
        help="write the comparison as one HTML page with its JSON beside it: the page's name, or a "
        "folder",
    )


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from lenswright.report import Report
    from lenswright.report.comparison import compare

    found = compare(Report.load(args.left), Report.load(args.right))
    print(found.to_json() if args.json else found, end="" if args.json else "\n")
    if args.save:
        page = found.save(args.save)
        if not args.json:
            print(f"page     {page}")
    return 0
