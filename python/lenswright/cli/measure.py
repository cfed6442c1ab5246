"""`lenswright measure`: what an edit or a steering does on prompts, as a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.cli import options

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.measuring.behaviour import Judge
    from lenswright.model import Model
    from lenswright.steering import Steering

HELP = """\
Measure a model on prompts: refusals, true answers where answers are known, empty and repeating
answers, losses; with --edit or --steer what that changes, beside random directions of equal norm:
the divergence of the words over whole answers, with intervals. No weight changes.

A file is JSON lines {"prompt": ..., "answer": ... (optional), "class": ... (optional)}, a JSON
array, a CSV table, or plain lines. No prompt may have had a part in making the edit. Of a table
with a column "label", --prompts takes the rows that say safe (0, no, harmless) and --positive those
that say unsafe (1, yes, harmful): sets of over-refusal such as XSTest's are given to both.

  lenswright measure MODEL --prompts benign.jsonl
  lenswright measure MODEL --edit edit.safetensors --prompts benign.jsonl \\
      --positive restricted.jsonl --save report/
  lenswright measure MODEL --edit edit.safetensors --prompts xstest.csv --positive xstest.csv

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    add("--edit", metavar="FILE", help="an edit to try, as Edit.save wrote it")
    add("--steer", metavar="FILE", help="a steering to try, as 'lenswright steer --save' wrote it")
    add("--prompts", required=True, metavar="FILE", help="prompts that shall be answered as before")
    add("--positive", metavar="FILE", help="prompts that show the behaviour the edit is about")
    add("--refusal", nargs="+", metavar="TEXT", help="texts of refusals (default: common ones)")
    options.add_texts(parser)
    add("--judge", metavar="MODEL", help="a model on this machine that is asked of every answer "
        "whether it declines")  # fmt: skip
    add("--question", metavar="TEXT", help="what the judge is asked instead, with {prompt} and "
        "{answer} in it, to be answered with yes or no")  # fmt: skip
    add("--null", type=int, metavar="N", help="random directions (default: 20; 0 without an edit, "
        "and where there is none like it)")  # fmt: skip
    options.add_margin(parser)
    add("--seed", type=int, default=0, help="of random directions and the bootstrap (default: 0)")
    options.add_answers(parser)
    options.add_batch_size(parser)
    options.add_computation(parser)
    add("--save", type=Path, metavar="FOLDER", help="write report.html and report.json there")
    options.add_json(parser, "print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    import lenswright
    from lenswright import findings
    from lenswright.measuring.probes import text_loss
    from lenswright.prompting.prompts import read_test_set
    from lenswright.report import Report
    from lenswright.told import effect_line

    if args.edit is not None and args.steer is not None:
        raise ValueError("--edit and --steer are both given, expected one of them")
    given = args.edit is not None or args.steer is not None
    if not given and args.null:
        raise ValueError(f"--null is {args.null}, but without --edit or --steer nothing is tried")
    if args.question is not None and args.judge is None:
        raise ValueError("--question belongs to --judge, which is missing")
    prompts = read_test_set(args.prompts, args.positive)
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    change = _change(model, args)
    null = args.null if args.null is not None else 20 if given else 0
    probes = {f"loss, {Path(name).name}": text_loss(model, name) for name in args.text}
    report = lenswright.measure(
        model, change, prompts, refusal=args.refusal, null=null, seed=args.seed,
        max_new_tokens=args.max_new_tokens, batch_size=args.batch_size, probes=probes,
        margin=args.margin, judges=_judges(args),
    )  # fmt: skip
    data: dict[str, Any] = dict(report.data)
    data["model"] = findings.model_facts(model)
    data["run"] = data["run"] | findings.run_facts(args.seed)
    data["edit"] = {"from": args.edit or args.steer or "nothing: the model as it is"}
    if not given:
        data["title"] = "The model as it is"
    report = Report(data)
    if args.json:
        print(report.to_json(), end="")
    else:
        print(f"{data['title']} ({len(prompts)} prompts)")
        for effect in report.data["effects"]:
            print(effect_line(effect))
    if args.save:
        page = report.save(args.save)
        if not args.json:
            print(f"report   {page}")
    return 0


def _judges(args: argparse.Namespace) -> dict[str, Judge]:
    import lenswright
    from lenswright.measuring.judges import QUESTION, ModelJudge

    if args.judge is None:
        return {}
    model = lenswright.load(args.judge, device=args.device)
    return {"judge": ModelJudge(model, args.question or QUESTION)}


def _change(model: Model, args: argparse.Namespace) -> Edit | Steering:
    from lenswright import edits, steering

    if args.steer is not None:
        return steering.load(args.steer)
    if args.edit is not None:
        return edits.load(args.edit)
    return edits.from_factors(model, {})
