"""`lenswright soup`: which models to average and how much of each, by a held-out set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lenswright.cli import options

HELP = """\
Average models, judged by a text or by prompts with answers that none of them was trained on: all in
equal parts (uniform), from the best on each that makes the average strictly better (greedy), or
with coefficients learned by gradient. With --search, the numbers that a merge recipe leaves open,
{search: [low, high]}, are searched by CMA-ES instead. Every candidate is printed; the recipe found
is one that `lenswright merge` runs to the model that was judged, to the byte.

A held-out file is prompts with answers (.jsonl, .json, .csv: the answers are judged) or plain text.

  lenswright soup run1/ run2/ run3/ --held-out held.jsonl --recipe soup.yml
  lenswright soup run1/ run2/ --held-out held.txt --method learned --per layer --out soup/
  lenswright soup --search open.yml --held-out held.txt --evaluations 100 --recipe found.yml

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    add("models", nargs="*", help="two or more checkpoint folders or hub ids")
    add(
        "--held-out", required=True, type=Path, metavar="FILE", help="what candidates are judged on"
    )
    add("--method", choices=["uniform", "greedy", "learned"], help="default: greedy")
    add("--base", help="of learned: coefficients are of what models add to this one")
    add("--per", choices=["model", "layer", "group", "tensor"],
        help="of learned: what has a coefficient (default: model)")  # fmt: skip
    add("--steps", type=int, metavar="N", help="of learned (default: 30)")
    add("--rate", type=float, metavar="R", help="of learned (default: 0.1)")
    add("--test", type=Path, metavar="FILE", help="another set, for the end")
    add("--search", type=Path, metavar="RECIPE", help="recipe with open numbers")
    add("--evaluations", type=int, metavar="N", help="of a search (default: 60)")
    add("--sigma", type=float, metavar="S", help="of a search: first step (default: 0.25)")
    add("--seed", type=int, metavar="N", help="of a search (default: 0)")
    add("--recipe", type=Path, metavar="FILE", help="where to write what was found")
    add("--out", type=Path, metavar="FOLDER", help="where to merge it to; must not exist")
    options.add_batch_size(parser, 64, "rows a run")
    add("--device", default="cpu", help="where candidates are run (default: cpu)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Find it, print the way to it, write it."""
    from lenswright.soups.search import search_merge
    from lenswright.soups.soup import soup

    _check(args)

    def say(line: str) -> None:
        if not args.json:
            print(line, flush=True)

    if args.search is not None:
        given = {name: getattr(args, name) for name in ("evaluations", "sigma", "seed")}
        found = search_merge(
            args.search, args.held_out, batch_size=args.batch_size, device=args.device, say=say,
            **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
    else:
        given = {name: getattr(args, name) for name in ("base", "per", "steps", "rate", "test")}
        found = soup(
            args.models, args.held_out, args.method or "greedy", batch_size=args.batch_size,
            device=args.device, say=say,
            **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
    if args.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print(found.summary())
    if args.recipe is not None:
        found.save(args.recipe)
        say(f"recipe {args.recipe}")
    if args.out is not None:
        written = found.merge(args.out)
        say(f"wrote {written.folder}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What is wrong is said before anything is judged."""
    own = {"--search": ("evaluations", "sigma", "seed"),
           "several models": ("method", "base", "per", "steps", "rate", "test")}  # fmt: skip
    if (args.search is not None) == bool(args.models):
        raise ValueError("expected either models, or --search and a recipe")
    foreign = "several models" if args.search is not None else "--search"
    for name in own[foreign]:
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} goes with {foreign}")
    for path in (args.recipe, args.out):
        if path is not None and path.exists():
            raise FileExistsError(f"output {path} exists; expected a new one")
        if path is not None and not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"output {path}: its parent folder does not exist")
