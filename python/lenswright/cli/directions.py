"""`lenswright directions`: from two files of prompts to directions, with how sure they are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lenswright.cli import options
from lenswright.jsonable import finite_or_none
from lenswright.nearest import expected_one_of

HELP = """\
Find the directions in which two kinds of prompts differ inside a model, at every layer, by one of
several methods, and say how surely: separation, agreement of two halves of the prompts, standard
error, and with --null the same method on shuffled labels. Nothing is edited.

The prompts are split as `lenswright ablate` does it, and only the first part is read. A file is
JSON lines {"prompt": ..., "pair": ... (for the methods of pairs)}, a JSON array, a CSV table, or
plain lines. docs/directions.md says which method to take when.

  lenswright directions MODEL --positive yes.jsonl --negative no.jsonl
  lenswright directions MODEL --positive yes.jsonl --negative no.jsonl --method lda --null 200 \\
      --positions last --out found.safetensors

Exit code: 0 when done, 2 when the call itself was wrong.
"""

COLUMNS = ("separation", "norm", "relative_error", "split_cosine", "p")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    options.add_classes(parser)
    add("--method", default="difference_of_means", metavar="NAME",
        help="difference_of_means (default), paired, pca, lda, mass_mean, leace, subspace, "
        "logistic, inlp, som")  # fmt: skip
    add("--k", type=int, metavar="N", help="directions of pca, subspace and inlp (default: 1)")
    add("--points", default="resid_pre", metavar="NAME",
        help="where to look, at every layer (default: resid_pre)")  # fmt: skip
    add("--positions", default="post_instruction", metavar="RULE",
        help="post_instruction (default; needs a chat template), last, first, all, instruction, "
        "or a number such as -2")  # fmt: skip
    add("--winsorise", type=float, default=1.0, metavar="Q",
        help="clamp every vector to this quantile of its magnitudes (default: 1, off)")  # fmt: skip
    add("--massive", choices=("keep", "clip", "exclude"), default="keep", help="what to do with "
        "channels beyond 100 and 1,000 times the median (default: keep)")  # fmt: skip
    add("--null", type=int, default=0, metavar="N", help="shuffles of the labels (default: 0)")
    add("--seed", type=int, default=0, help="of the split and of the shuffles (default: 0)")
    add("--checkpoint", type=Path, metavar="FILE",
        help="where statistics are kept while they are collected: after Ctrl-C or a crash the same "
        "call goes on from there")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="directions to write; must not exist")
    add("--stats", type=Path, metavar="FILE", help="statistics to write; must not exist")
    options.add_batch_size(parser)
    options.add_computation(parser)
    options.add_json(parser, "print the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Collect, estimate, print, write."""
    import lenswright
    from lenswright import directions

    for path in (args.out, args.stats):
        if path is not None and path.exists():
            raise FileExistsError(f"{path} exists; expected a new file")
    estimate, settings, needs = _method(args)
    splits = lenswright.Splits.from_files(args.positive, args.negative, seed=args.seed)
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    if args.massive != "keep" and args.null:
        raise ValueError("--null shuffles the labels of whole directions, expected --massive keep")
    needs = (*needs, *(["samples"] if args.null else []))
    needs = (*needs, *(["extremes"] if args.massive != "keep" else []))
    what = dict.fromkeys(["mean", "variance", *needs])
    stats = model.collect(
        splits.fit, points=args.points, positions=options.position(args.positions), what=list(what),
        batch_size=args.batch_size, winsorise=args.winsorise, checkpoint=args.checkpoint,
    )  # fmt: skip
    found = estimate(stats, **settings)
    if args.massive != "keep":
        massive = directions.massive_channels(stats)
        found = massive.clipped(found) if args.massive == "clip" else massive.excluded(found)
        print(massive, file=sys.stderr)
    rows: list[dict[str, Any]] = found.table()
    if args.null:
        shuffled = directions.null(stats, found, n=args.null, seed=args.seed).table()
        for row, other in zip(rows, shuffled, strict=True):
            row |= {"p": other["p"], "z": finite_or_none(other["z"])}
    if args.out:
        found.save(args.out)
    if args.stats:
        stats.save(args.stats)
    print(json.dumps(rows, indent=2) if args.json else _table(rows))
    return 0


def _method(args: argparse.Namespace) -> tuple[Any, dict[str, Any], tuple[str, ...]]:

    from lenswright import directions
    from lenswright.estimators.registry import METHODS

    if args.method not in METHODS:
        raise ValueError(expected_one_of("--method", args.method, METHODS))
    several = args.method in ("pca", "subspace", "inlp")
    if args.k is not None and not several:
        raise ValueError(f"--k is given, but {args.method} finds one direction")
    settings = {"k": args.k or 1} if several else {}
    kept = {"pairs": "samples"}
    needs = tuple(kept.get(need, need) for need in METHODS[args.method](**settings).needs)
    return getattr(directions, args.method), settings, needs


def _table(rows: list[dict[str, Any]]) -> str:
    columns = [name for name in COLUMNS if name in rows[0]]
    head = ["point", "position", *(name.replace("_", " ") for name in columns)]
    lines = [head]
    for row in rows:
        cells = ["" if row[name] is None else f"{row[name]:.3g}" for name in columns]
        lines.append([row["point"], repr(row["position"]), *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
