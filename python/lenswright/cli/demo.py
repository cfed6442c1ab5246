"""`lenswright demo`: the whole story on the model that comes with the package, or another one."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path
from typing import Any

from lenswright.cli import options
from lenswright.demo.kinds import KINDS

HELP = """\
Look, try, measure, bake: the whole story on a small chat model that comes with the package. It
answers questions about made-up things, and declines to make one kind of them. The demo finds where
in the network that decision lies, tries an edit while no weight changes, measures it on held-out
requests beside random directions, bakes the same edit into a checkpoint, and compares that with
transformers. Nothing in it needs a network.

Writes a folder with report.html, report.json and the edited checkpoint. Other kinds of models,
which --train trains, make the same edit harder; what it misses is named, and the exit code is 1.
docs/edits.md has every method on each of them.

  lenswright demo
  lenswright demo --out story --seed 2
  lenswright demo --train --seed 3 --out story-3     on one trained on this machine (minutes)
  lenswright demo --train two_mechanisms             the same of another kind
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("--out", type=Path, metavar="FOLDER", help="folder to write; must not exist "
        "(default: lenswright-demo, or the first free lenswright-demo-N)")  # fmt: skip
    add(
        "--seed",
        type=int,
        default=2,
        help="of training, prompts and random directions (default: 2, the shipped model's)",
    )
    add("--train", nargs="?", const="base", metavar="KIND", choices=KINDS, help="on a model that "
        "is trained from the seed on this machine and kept in the user's cache folder: "
        f"{', '.join(KINDS)} (default: base)")  # fmt: skip
    add("--null", type=int, default=20, metavar="N", help="random directions (default: 20)")
    options.add_batch_size(parser, 256)
    options.add_json(parser, "print the report as JSON instead of the story")


def free_folder() -> Path:
    """`lenswright-demo`, or the first free name after it."""
    names = (f"lenswright-demo-{n}" for n in range(2, 10_000))
    return next(p for p in (Path("lenswright-demo"), *map(Path, names)) if not p.exists())


def run(args: argparse.Namespace) -> int:
    """Tell the story; 0, or 1 where a demand on the shipped model was not reached."""
    out: Path = args.out or free_folder()
    if out.exists():
        raise FileExistsError(f"output folder {out} exists; expected a new one")
    out.mkdir(parents=True)
    try:
        return _run(args, out)
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: what is in it is whole
            out.rmdir()
        raise


def _run(args: argparse.Namespace, out: Path) -> int:
    import lenswright
    from lenswright.demo import MODEL, story, trained

    def say(text: str) -> None:
        if not args.json:
            print(text, flush=True)

    start = time.monotonic()
    folder = MODEL
    if args.train:
        folder = trained(args.train, args.seed)
        say(f"train    {folder}: seed {args.seed}, {time.monotonic() - start:.0f} s")
    model = lenswright.load(folder)
    say(f"model    {model!r}")
    told = story.tell(
        model, out / "edited", args.seed, args.null, args.batch_size, say, args.train or "base"
    )
    told.data["run"] |= {
        "seconds": round(time.monotonic() - start, 1),
        "command": "lenswright demo",
    }
    page = told.save(out)
    rows: list[dict[str, Any]] = told.data["criteria"]
    judged = [row for row in rows if row["passed"] is not None]
    missed = [row["name"] for row in rows if row["passed"] is False]
    if args.json:
        print(json.dumps(told.data))
    say(f"{len(judged) - len(missed)} of {len(judged)} demands reached"
        + (f"; missed: {', '.join(missed)}" if missed else "")
        + f", {time.monotonic() - start:.0f} s")  # fmt: skip
    say(f"report   {page}")
    return 1 if missed else 0
