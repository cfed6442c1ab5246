"""`lenswright ablate`: from two files of prompts to an edited checkpoint and its report."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lenswright import methods
from lenswright.cli import options
from lenswright.methods.along import RANK, RIDGE

if TYPE_CHECKING:
    from lenswright.edits import Edit

HELP = """\
Find the direction in which two kinds of prompts differ inside a model, take it out of everything
that writes to the residual stream, measure what that does on held-out prompts beside random
directions, and write the edited checkpoint to a new folder.

The prompts are split in three: to find the direction, to choose it, to test the edit. A file is
JSON lines {"prompt": ..., "answer": ... (optional)}, a JSON array, a CSV table, or plain lines.

With --direction FILE (a vector, or what 'lenswright directions --out' wrote, one of them by --at)
or --edit FILE (what --save-edit or Edit.save wrote) nothing is looked for and nothing measured: the
edit is written. Of an architecture that nobody here knows, --direction takes plain edits of tensors
by name, --writers "*.o_proj.weight"; nothing of those can be tried.

By default the behaviour is refusing: the model's own refusals are its measure. For another one name
words that a positive and a negative prompt would go on with: --positive-words, --negative-words.

  lenswright ablate MODEL --positive restricted.jsonl --negative benign.jsonl --out edited/
  lenswright ablate FOLDER --positive a.jsonl --negative b.jsonl --in-place
  lenswright ablate MODEL --positive a.jsonl --negative b.jsonl --method subspace --rank 3 \\
      --out edited/
  lenswright ablate MODEL --positive a.jsonl --negative b.jsonl --out edited/ --dry-run
  lenswright ablate MODEL --direction v.safetensors --writers attention mlp --out edited/
  lenswright ablate MODEL --edit edit.safetensors --out edited/ --journal
  lenswright ablate MODEL --positive happy.json --negative sad.json --positions last \\
      --positive-words " happy" " glad" --negative-words " sad" " cried" --out edited/

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    options.add_classes(parser, required=False)
    add("--direction", metavar="FILE", help="what to take out, instead of prompts to find it with")
    add("--at", nargs=2, metavar=("POINT", "POSITION"),
        help="which of the directions in FILE, such as blocks.2.hook_resid_pre -1")  # fmt: skip
    add("--edit", metavar="FILE", help="a saved edit to write, instead of making one")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="edited checkpoint to write; must not exist (default: nothing is written)",
    )
    add("--dry-run", action="store_true",
        help="check everything, and print what writing would take: writers, bytes, seconds, "
        "memory")  # fmt: skip
    add("--save-edit", type=Path, metavar="FILE",
        help="keep the edit as a .safetensors file; must not exist")  # fmt: skip
    add("--in-place", action="store_true",
        help="edit MODEL, a folder, itself, always with a journal: the new folder is written "
        "beside it, which needs its room, and takes its place in one step at the end; killed at "
        "any moment, MODEL is the old one or the new one")  # fmt: skip
    add("--journal", action="store_true",
        help="keep in OUT what 'lenswright revert' needs to bring the original back")  # fmt: skip
    add("--report", type=Path, metavar="FOLDER", help="folder for report.html and report.json "
        "(default: OUT-report, beside OUT; of --in-place MODEL-report)")  # fmt: skip
    add(
        "--positions",
        default="post_instruction",
        metavar="RULE",
        help="post_instruction (default; needs a chat template), last, or a number such as -2",
    )
    add("--writers", nargs="+", default=["all"], metavar="NAME",
        help="all (default), attention, mlp, expert ..., or names and globs (of tensors in the "
        "file, where the architecture is unknown)")  # fmt: skip
    add("--method", default="plain", metavar="NAME", help=methods.helped())
    add("--strength", type=float, default=1.0, help="1 removes (default), 2 reflects")
    add("--rank", type=int, metavar="K",
        help=f"directions of subspace and ridge (default: {RANK})")  # fmt: skip
    add("--ridge", type=float, metavar="X", help="of method ridge: of directions at right angles "
        f"X / (1 + X) is left (default: {RIDGE:g})")  # fmt: skip
    add(
        "--refusal", nargs="+", metavar="TEXT", help="texts of refusals, instead of the model's own"
    )
    add("--positive-words", nargs="+", metavar="TEXT", help="continuations of positive prompts")
    add("--negative-words", nargs="+", metavar="TEXT", help="continuations of negative prompts")
    add("--by", choices=("bypass", "cosmic"), default="bypass", help="what chooses the direction: "
        "the least bypass (default), or the greatest cosmic, which looks at residuals and, unless "
        "words are named, at no token of an answer")  # fmt: skip
    add("--massive", choices=("keep", "clip", "exclude"), default="keep", help="what to do with "
        "channels beyond 100 and 1,000 times the median: leave them in the directions (default; "
        "they are reported), clip, or take them out")  # fmt: skip
    options.add_texts(parser)
    add("--own", type=int, default=0, metavar="N",
        help="loss on the model's own continuations of N test prompts (default: 0)")  # fmt: skip
    add("--null", type=int, default=20, metavar="N", help="random directions (default: 20)")
    options.add_margin(parser)
    add("--seed", type=int, default=0, help="of the split and of random directions (default: 0)")
    options.add_answers(parser)
    options.add_batch_size(parser)
    options.add_computation(parser)
    options.add_json(parser, "print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Take the whole path."""
    import lenswright
    from lenswright.measuring.probes import own_text_loss, text_loss
    from lenswright.prompting.prompts import CLASSES
    from lenswright.story import Plan, tell

    _check(args)
    if args.direction is not None or args.edit is not None:
        return _given(args)
    splits = lenswright.Splits.from_files(args.positive, args.negative, seed=args.seed)
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    alike = len({Path(name).name for name in args.text}) < len(args.text)
    probes = {
        f"loss, {name if alike else Path(name).name}": text_loss(model, name) for name in args.text
    }
    if args.own:
        probes["loss, own text"] = own_text_loss(model, splits.test, args.own, args.batch_size)
    if args.margin is not None:
        from lenswright.measuring.intervals import check_margin

        check_margin(args.margin, {side: len(splits.test.of(side)) for side in CLASSES})
    score = None
    if args.positive_words:
        score = lenswright.directions.TokenLogOdds(args.positive_words, args.negative_words)
    plan = Plan(
        positions=options.position(args.positions), writers=args.writers, strength=args.strength,
        method=args.method, rank=args.rank, ridge=args.ridge,
        refusal=args.refusal, score=score, by=args.by,
        score_name="log-odds, positive against negative words" if score else Plan.score_name,
        null=args.null, seed=args.seed, max_new_tokens=args.max_new_tokens,
        batch_size=args.batch_size, probes=probes, journal=args.journal, in_place=args.in_place,
        massive=args.massive,
    )  # fmt: skip
    if args.dry_run:
        for remark in plan.check(model):
            print(f"lenswright: {remark}", file=sys.stderr)
        return _planned(plan.any_edit(model), args)
    told = tell(
        model, splits, plan, args.out, lambda _: None if args.json else print(_, flush=True)
    )
    if args.save_edit is not None:
        told.edit.save(args.save_edit)
    if args.json:
        print(told.report.to_json())
    written = Path(args.model).absolute() if args.in_place else args.out
    report = args.report or (written and written.with_name(written.name + "-report"))
    if report:
        page = told.report.save(report)
        if not args.json:
            print(f"report   {page}")
    return 0


def _given(args: argparse.Namespace) -> int:
    """Write an edit that is not made from prompts."""
    from lenswright.cli.written_edits import made_of

    edit = made_of(args)
    if args.dry_run:
        return _planned(edit, args)
    if args.save_edit is not None:
        edit.save(args.save_edit)
    if args.out is not None or args.in_place:
        print(edit.commit(args.model, args.out, journal=args.journal, in_place=args.in_place))
    return 0


def _planned(edit: Edit, args: argparse.Namespace) -> int:
    """Say what writing the edit would take."""
    plan = edit.plan(args.model, args.out, journal=args.journal, in_place=args.in_place)
    print(json.dumps(plan.to_json(), indent=2) if args.json else plan)
    return 0 if plan.fits else 1


def _check(args: argparse.Namespace) -> None:
    sources = [name for name in ("direction", "edit") if getattr(args, name) is not None]
    if args.positive is not None or args.negative is not None:
        sources.append("positive, --negative")
    if len(sources) != 1:
        given = " and ".join(f"--{name}" for name in sources) or "none"
        raise ValueError(
            f"expected one of --positive and --negative, --direction, --edit; given: {given}"
        )
    if (args.positive is None) != (args.negative is None):
        raise ValueError("--positive and --negative go together, but one is missing")
    writes = args.out is not None or args.in_place
    if args.at is not None and args.direction is None:
        raise ValueError("--at belongs to --direction, which is missing")
    if args.dry_run and not writes:
        raise ValueError("--dry-run tells of writing, expected --out or --in-place beside it")
    if "positive, --negative" not in sources and not writes and args.save_edit is None:
        raise ValueError("there is nothing to do; expected --out, --in-place or --save-edit")
    if args.save_edit is not None and args.save_edit.exists():
        raise FileExistsError(f"{args.save_edit} exists; expected a new file")
    if bool(args.positive_words) != bool(args.negative_words):
        raise ValueError("--positive-words and --negative-words go together, but one is missing")
    if args.in_place and args.out is not None:
        raise ValueError(f"--out is {args.out}, but --in-place writes no other folder")
    if args.in_place and not Path(args.model).is_dir():
        raise FileNotFoundError(f"--in-place: {args.model} is no folder; expected one to edit")
    if args.journal and args.out is None and not args.in_place:
        raise ValueError("--journal belongs to --out, which is missing")
    if args.own < 0:
        raise ValueError(f"--own is {args.own}, expected 0 or more")
    if args.out is not None and args.out.exists():
        raise FileExistsError(f"output folder {args.out} exists; expected a new one")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise FileNotFoundError(f"output folder {args.out}: its parent folder does not exist")
