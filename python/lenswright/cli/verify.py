"""`lenswright verify`: is a model read as it was meant, and does it give transformers' numbers?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenswright.cli import options

HELP = """\
Test a model by itself, in seconds for small ones: whether every tensor and key of config.json is
accounted for and every weight a number; whether what must hold in any transformer holds on a short
run; and the knob scan: the loss on a plain text as the model is read, and under each plausible
misreading (rope layout, norm offset, score scale, packing ...). The one read must be the best.
The scan needs a tokenizer, and a model that was trained.

With --against transformers: run the checkpoint here and in Hugging Face transformers, block by
block, and compare the logits and the activation at every named point. The reference computes in
float64 throughout, so the error printed is ours. Needs transformers, and memory for the weights as
stored, twice, and one block in float64.

With --edit: is a folder that a commit wrote what its lenswright.json says? Edited tensors must have
the hashes that were written. With --base ORIGINAL each is also made again from the original's
tensor and the recorded factors, and every other tensor must be the original's; whatever is not, is
named.

Exit code: 0 when nothing is wrong, 1 when something is, 2 when the call itself was wrong.

  lenswright verify my-model/
  lenswright verify my-model/ --text essays.txt --json
  lenswright verify my-model/ --against transformers --dtype float32
  lenswright verify my-model/ --against transformers --points "blocks.3.*" --expanded
  lenswright verify edited/ --edit --base my-model/
"""

AGAINST = {
    "prompt": [], "rows": 2, "length": 24, "seed": 0, "points": None, "expanded": False,
    "tolerance": None,
}  # fmt: skip
"""Options of a comparison, and what they are where nobody says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    add("--against", choices=["transformers"], help="compare with this implementation")
    add("--edit", action="store_true", help="check a committed folder against its lenswright.json")
    add("--base", metavar="ORIGINAL", help="with --edit: what the first commit was made of")
    add(
        "--dtype",
        metavar="TYPE",
        help="type of the computation here: float64, float32, float16, bfloat16 (default: as "
        "loading has it; against transformers float64)",
    )
    add("--device", default="cpu", help="where to compute here (default: cpu)")
    add("--text", metavar="FILE", help="a text for the knob scan, one paragraph a line")
    options.add_json(parser)
    _add_comparison(parser.add_argument_group("with --against"))


def _add_comparison(group: Any) -> None:
    add = group.add_argument
    add("--prompt", action="append", metavar="TEXT", help="a text to run; may be repeated")
    add(
        "--rows",
        type=int,
        metavar="N",
        help="rows of random tokens to run beside the prompts (default: 2)",
    )
    add("--length", type=int, metavar="N", help="random tokens in a row (default: 24)")
    add("--seed", type=int, help="seed of the random tokens (default: 0)")
    add(
        "--points",
        action="append",
        metavar="GLOB",
        help="compare only points that match; may be repeated (default: all)",
    )
    add(
        "--expanded",
        action="store_true",
        default=None,
        help="also points that exist only when they are named, such as attn.hook_result",
    )
    add(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest relative error that passes (default: 1e-10 in float64, 1e-5 in float32)",
    )


def run(args: argparse.Namespace) -> int:
    """Test or compare, print, and answer 0 where nothing is wrong."""
    given = [f"--{name}" for name in AGAINST if getattr(args, name) is not None]
    if args.against is None and given:
        raise ValueError(f"{given[0]} belongs to a comparison: add --against transformers")
    if args.against is not None and args.text is not None:
        raise ValueError("--text belongs to the self-test; expected --prompt beside --against")

    if args.base is not None and not args.edit:
        raise ValueError("--base belongs to --edit, which is missing")
    if args.edit and (args.against is not None or args.text is not None):
        raise ValueError("--edit stands alone; expected no --against and no --text beside it")

    def progress(stage: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{stage}", end="", file=sys.stderr, flush=True)

    try:
        if args.edit:
            found = _rechecked(args)
        else:
            found = _tested(args, progress) if args.against is None else _compared(args, progress)
    finally:
        progress("")
    print(json.dumps(found.to_json(), indent=2) if args.json else found)
    return 0 if found.ok else 1


def _rechecked(args: argparse.Namespace) -> Any:
    from lenswright import edits

    return edits.verify(args.model, args.base)


def _tested(args: argparse.Namespace, progress: Callable[[str], None]) -> Any:
    import lenswright
    from lenswright.selftest import selftest

    text = None if args.text is None else Path(args.text).read_text(encoding="utf-8")
    progress("loading")
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype or "auto")
    return selftest(model, text, progress)


def _compared(args: argparse.Namespace, progress: Callable[[str], None]) -> Any:
    from lenswright.verifying.verify import verify

    chosen = {name: getattr(args, name) for name in AGAINST}
    chosen = {name: AGAINST[name] if value is None else value for name, value in chosen.items()}
    return verify(
        args.model,
        dtype=args.dtype or "float64",
        device=args.device,
        prompts=chosen["prompt"],
        points=chosen["points"] or ["*"],
        progress=progress,
        **{name: chosen[name] for name in ("rows", "length", "seed", "expanded", "tolerance")},
    )
