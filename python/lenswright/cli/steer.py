"""`lenswright steer`: answers with a steering and without, and the steering as a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.cli import options

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.steering import Condition, Steering

HELP = """\
Make a steering, something that is done to the residual stream while the model runs, and show what
prompts are answered with it and without. No weight changes. --save keeps it as a file, which
--steering, 'lenswright chat --steer' and lw.steering.load read.

  lenswright steer MODEL --direction v.safetensors --layers 12 --operation add --strength 4 \\
      --prompt "Describe a kettle." --save steering.safetensors
  lenswright steer MODEL --direction v.pt --layers all --at writes --operation project --prompt TEXT
  lenswright steer MODEL --direction v.npy --layers 8..11 --operation add --strength 0.1 \\
      --unit token --positions last decode --over-tokens 0:1 32:0 --prompt TEXT
  lenswright steer MODEL --steering steering.safetensors --prompt TEXT --json

A FILE of a direction is a vector [d_model] in .safetensors, .pt or .npy (FILE:NAME where it holds
several tensors), a row a layer [n_layers, d_model], or what Directions.save wrote where that holds
one direction. A .gguf control vector of llama.cpp or repeng is added where they add it, at its own
lengths times STRENGTH (default: 1); --save FILE.gguf writes one.

Operations, with c the component along the direction at length 1: add STRENGTH of it; project it
out; clamp c to STRENGTH; scale c by STRENGTH; cap c at STRENGTH, or hold it above (floor); swap the
components along --direction and --other. STRENGTH of add, clamp, cap and floor is in --unit:
absolute (numbers of the residual stream), token (parts of the token's norm), relative (parts of the
layer's mean norm over --norm-prompts, or over the prompts given), own (lengths of the vector).

Exit code: 0 when done, 2 when the call itself was wrong.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    add("--direction", metavar="FILE", help="what to steer along")
    add("--steering", metavar="FILE", help="a saved steering, instead of --direction")
    add("--layers", nargs="+", metavar="L", help="numbers, ranges such as 4..7, or all")
    add("--operation", metavar="NAME", help="add (default), project, clamp, scale, swap, cap, "
        "floor")  # fmt: skip
    add("--strength", type=float, metavar="S", help="default: 1; add, clamp, cap, floor and scale "
        "need it")  # fmt: skip
    add("--unit", metavar="NAME", help="absolute (default), relative, token or own")
    add("--norm-prompts", metavar="FILE", help="prompts whose mean norms are the unit 'relative'")
    add("--at", metavar="POINT", help="resid_pre (default), resid_mid, resid_post, attn_out, "
        "mlp_out, or writes: all that is written")  # fmt: skip
    add("--positions", nargs="+", metavar="RULE", help="all (default), prefill, decode, last, "
        "first, pre_instruction, instruction, post_instruction, template, text:WORDS, numbers, "
        "spans such as 2:5")  # fmt: skip
    add("--other", metavar="FILE", help="the second direction of swap")
    add("--when", metavar="FILE", help="act only where the component along this exceeds "
        "--threshold")  # fmt: skip
    add("--threshold", type=float, metavar="X")
    add("--threshold-unit", metavar="NAME", help="absolute (default), or token: a cosine")
    add("--below", action="store_true", help="act where it is below --threshold instead")
    add("--over-tokens", nargs="+", metavar="N:X", help="factors over generated tokens, linear "
        "between; 0 is the prompt")  # fmt: skip
    add("--over-layers", nargs="+", metavar="L:X", help="factors over layers, linear between")
    add("--preserve-norm", action="store_true", help="after adding, give tokens their norm again")
    add("--prompt", action="append", default=[], metavar="TEXT", help="may be repeated")
    add("--prompts", metavar="FILE", help="a prompt a line, JSON lines, or a table")
    add("--save", type=Path, metavar="FILE", help="keep the steering; must not exist")
    add("--max-new-tokens", type=int, default=64, metavar="N", help="default: 64")
    add("--temperature", type=float, default=0.0, metavar="T", help="default: 0, greedy")
    add("--seed", type=int, default=0, help="of the draws (default: 0)")
    options.add_batch_size(parser, 16)
    options.add_computation(parser)
    options.add_json(parser, "print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show the answers."""
    import lenswright

    prompts = [*args.prompt, *_read(args.prompts)]
    _check(args, prompts)
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    steering = _steering(model, args, prompts)
    steering.check(model)
    rows = model.prompt_tokens(prompts)
    answers = [
        {"prompt": prompt, "plain": plain, "steered": steered}
        for prompt, plain, steered in zip(
            prompts, _answers(model, rows, args), _answers(model, rows, args, steering), strict=True
        )
    ]
    if args.save is not None:
        _save(steering, args.save, model)
    if args.json:
        saved = None if args.save is None else str(args.save)
        facts = {"steering": str(steering), "id": steering.id, "saved": saved, "answers": answers}
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    print(steering)
    for answer in answers:
        print(f"\nprompt   {answer['prompt']}")
        print(f"plain    {answer['plain']}\nsteered  {answer['steered']}")
    if args.save is not None:
        print(f"\nsaved    {args.save}")
    return 0


def _answers(
    model: Model, rows: list[list[int]], args: argparse.Namespace, steering: Steering | None = None
) -> list[str]:
    from lenswright.batches import batches
    from lenswright.generating.chatting import turn_ends

    stops = turn_ends(model.tokenizer) if model.tokenizer.chat_template is not None else []
    found: list[str] = []
    seeds = [args.seed + i for i in range(len(rows))]
    for part in batches(len(rows), args.batch_size):
        found += model.generate(
            rows[part], args.max_new_tokens, args.temperature, seed=seeds[part], stop=stops or None,
            return_type="text", steering=steering,
        )  # fmt: skip
    return [text.strip() for text in found]


def _check(args: argparse.Namespace, prompts: list[str]) -> None:
    if (args.direction is None) == (args.steering is None):
        raise ValueError("expected one of --direction (to make a steering) and --steering (saved)")
    if args.steering is not None:
        made = ("layers", "operation", "strength", "unit", "norm_prompts", "at", "positions",
                "other", "when", "threshold", "over_tokens", "over_layers")  # fmt: skip
        for name in made:
            if getattr(args, name) is not None:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} says how --direction acts; --steering says it itself")
    if (args.when is None) != (args.threshold is None):
        raise ValueError("--when and --threshold go together, but one is missing")
    if not prompts and args.save is None:
        raise ValueError("there is nothing to do; expected --prompt, --prompts or --save")
    if args.save is not None and args.save.exists():
        raise FileExistsError(f"output {args.save} exists; expected a new file")
    if args.batch_size < 1:
        raise ValueError(f"--batch-size is {args.batch_size}, expected at least 1")


def _steering(model: Model, args: argparse.Namespace, prompts: list[str]) -> Steering:
    from lenswright import steering

    if args.steering is not None:
        return steering.load(args.steering)
    if Path(args.direction).suffix == ".gguf":
        return _control_vector(model, args)
    operation = args.operation or "add"
    if args.strength is None and operation in ("add", "clamp", "cap", "floor", "scale"):
        raise ValueError(f"--strength is missing, and --operation {operation} needs one")
    unit, at = args.unit or "absolute", args.at or "resid_pre"
    norms = None
    if unit == "relative":
        asked = _read(args.norm_prompts) or prompts
        norms = steering.residual_norms(model, asked, "resid_pre" if at == "writes" else at)
    return steering.make(
        operation, _direction(args.direction, model), 1.0 if args.strength is None else
        args.strength, other=None if args.other is None else _direction(args.other, model),
        unit=unit, norms=norms, preserve_norm=args.preserve_norm, at=at, **_where(args, model),
    )  # fmt: skip


def _save(steering: Steering, path: Path, model: Model) -> None:
    if path.suffix == ".gguf":
        steering.save_control_vector(path, model)
    else:
        steering.save(path)


def _control_vector(model: Model, args: argparse.Namespace) -> Steering:
    from lenswright import steering

    for name, only in (("operation", "add"), ("unit", "own"), ("at", "resid_post"),
                       ("other", None)):  # fmt: skip
        given = getattr(args, name)
        if given not in (None, only):
            hint = f", expected {only}" if only else ""
            raise ValueError(f"--{name} is {given}, but --direction is a control vector{hint}")
    return steering.from_control_vector(
        args.direction, 1.0 if args.strength is None else args.strength, args.preserve_norm, model,
        **_where(args, model),
    )  # fmt: skip


def _where(args: argparse.Namespace, model: Model) -> Any:
    from lenswright.steering.written import knots_of, layers_of, rule_of

    return {
        "layers": layers_of(args.layers),
        "positions": [rule_of(rule) for rule in args.positions or ["all"]],
        "when": _when(args, model), "over_tokens": knots_of(args.over_tokens, "--over-tokens"),
        "over_layers": knots_of(args.over_layers, "--over-layers"),
    }  # fmt: skip


def _direction(path: str, model: Model) -> Any:
    from lenswright.cli.written_edits import read_direction

    return read_direction(path, model.cfg.d_model, model.cfg.n_layers)


def _when(args: argparse.Namespace, model: Model) -> Condition | None:
    from lenswright import steering

    if args.when is None:
        return None
    seen = _direction(args.when, model)
    return steering.when(seen, args.threshold, args.threshold_unit or "absolute", args.below)


def _read(path: str | None) -> list[str]:
    from lenswright.prompting.prompt_files import fields, read_rows

    return [] if path is None else [fields(row, place)[0] for place, row in read_rows(path, True)]
