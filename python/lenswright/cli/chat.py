"""`lenswright chat`: talk to a model, as it is or with an edit or a steering vector."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from difflib import get_close_matches
from typing import TYPE_CHECKING

from lenswright.cli import options

if TYPE_CHECKING:
    from lenswright.generating.chatting import Conversation
    from lenswright.generating.thinking import Piece
    from lenswright.model import Model
    from lenswright.steering import Steering

HELP = """\
Talk to a model: every line you type is a turn, the answer appears as it is made. Lines may also
come from a file or a pipe. The checkpoint needs a chat template; how it chooses its words is what
its generation_config.json says, unless an option says otherwise.

  lenswright chat MODEL
  lenswright chat MODEL --temperature 0.7 --top-p 0.9 --system "Answer in one sentence."
  lenswright chat MODEL --edit edit.safetensors
  lenswright chat MODEL --steer vector.safetensors --layer 12 --scale 4
  lenswright chat MODEL --steer steering.safetensors
  printf 'What is a kettle?\\n' | lenswright chat MODEL --json

A line that begins with / is a command:
  /reset  forget every turn     /quit  end (so does the end of the input)     /help  this list

--edit takes a file that Edit.save wrote; the weights on disk stay as they are. --steer takes a
steering that Steering.save or 'lenswright steer --save' wrote, times SCALE; or a vector, and adds
SCALE x the vector to the residual stream before block LAYER (blocks.LAYER.hook_resid_pre), at every
position.

A turn reads only what is new in the conversation; where a steering acts at some positions only, it
reads all of it, and says so.

With --json every turn gives one line: {"prompt", "answer", "reasoning", "end", "tokens",
"seconds", "prompt_tokens", "reused", "anew"}; "end" is "stop" (the model ended its turn) or
"length"; "reused" of "prompt_tokens" were not read again, "anew" says why none could be; a turn
that could not be answered gives {"prompt", "error"}. A line of input may then also be
{"prompt": TEXT}.

Ctrl-C ends an answer, and at the prompt the conversation. Exit code: 0 when the conversation ended,
1 when a turn could not be answered, 2 when the call itself was wrong, 130 after Ctrl-C.
"""

COMMANDS = ("/reset", "/quit", "/help")
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add = parser.add_argument
    options.add_model(parser)
    add("--edit", metavar="FILE", help="an edit to try, as Edit.save wrote it")
    add("--steer", metavar="FILE", help="a steering, or a vector [d_model] to add: .safetensors, "
        ".pt or .npy (FILE:NAME where it holds several tensors)")  # fmt: skip
    add("--layer", type=int, metavar="L", help="the block before which the vector is added")
    add("--scale", type=float, metavar="S", help="times the vector or the steering (default: 1)")
    add("--system", metavar="TEXT", help="a system message before the first turn")
    add("--temperature", type=float, metavar="T", help="0 takes the most probable token")
    add("--top-k", type=int, metavar="K", help="draw from the K most probable tokens only")
    add("--top-p", type=float, metavar="P", help="draw from the fewest that hold P of probability")
    add("--min-p", type=float, metavar="P", help="leave out what is below P of the most probable")
    add("--repetition-penalty", type=float, metavar="X", help="1 does nothing")
    add("--frequency-penalty", type=float, metavar="X", help="0 does nothing")
    add("--presence-penalty", type=float, metavar="X", help="0 does nothing")
    add("--seed", type=int, default=0, help="of the draws (default: 0)")
    add("--max-new-tokens", type=int, metavar="N", help="length of an answer (default: the "
        "checkpoint's own, else 1024)")  # fmt: skip
    add("--stop", action="append", metavar="TEXT", help="ends an answer; may be repeated")
    add("--hide-reasoning", action="store_true", help="show the answers of thinking models only")
    options.add_computation(parser)
    options.add_json(parser, "print one JSON object a turn")


def run(args: argparse.Namespace) -> int:
    """Talk until the input ends."""
    import lenswright
    from lenswright.generating.chatting import Conversation

    if args.steer is None and (args.layer is not None or args.scale is not None):
        raise ValueError("--layer and --scale say where --steer acts, but it is missing")
    saved = args.steer is not None and lenswright.steering.is_steering(args.steer)
    if saved and args.layer is not None:
        raise ValueError(f"--layer is {args.layer}, but '{args.steer}' says itself where it acts")
    if args.steer is not None and args.layer is None and not saved:
        raise ValueError("--steer needs --layer, the block before which the vector is added")
    model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
             "frequency_penalty", "presence_penalty", "seed", "stop")  # fmt: skip
    with ExitStack() as stack:
        if args.edit is not None:
            stack.enter_context(model.edited(lenswright.edits.load(args.edit)))
        if args.steer is not None:
            stack.enter_context(model.steered(_steering(model, args, saved)))
        talk = Conversation(model, args.system, **{name: getattr(args, name) for name in names})
        return _talk(talk, args)


def _steering(model: Model, args: argparse.Namespace, saved: bool) -> Steering:
    from lenswright import steering
    from lenswright.checkpoints.vector_file import read_vector

    scale = 1.0 if args.scale is None else args.scale
    if saved:
        return scale * steering.load(args.steer)
    layers = model.cfg.n_layers
    if not -layers <= args.layer < layers:
        raise IndexError(f"--layer is {args.layer}, expected {-layers} to {layers - 1}")
    vector = read_vector(args.steer, model.cfg.d_model, layers, args.layer % layers)
    return steering.add(vector, scale, unit="own", layers=args.layer)


def _talk(talk: Conversation, args: argparse.Namespace) -> int:
    failed = False
    for line in _lines():
        prompt = _prompt(line, args.json)
        if prompt.startswith("/"):
            if prompt == "/quit":
                break
            _command(prompt, talk)
        elif prompt:
            failed |= not _turn(talk, prompt, args)
    return int(failed)


def _lines() -> Iterator[str]:
    if not sys.stdin.isatty():
        for line in sys.stdin:
            yield line.strip()
        return
    import readline  # noqa: F401 - gives input() a history

    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            print()
            return


def _prompt(line: str, as_json: bool) -> str:
    if as_json and line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return line
        if isinstance(found, dict) and isinstance(found.get("prompt"), str):
            return str(found["prompt"])
    return line


def _command(text: str, talk: Conversation) -> None:
    if text == "/reset":
        talk.reset()
    elif text == "/help":
        print(f"commands: {', '.join(COMMANDS)}", file=sys.stderr)
    else:
        near = get_close_matches(text, COMMANDS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected {', '.join(COMMANDS)}"
        print(f"lenswright: there is no command '{text}'; {hint}", file=sys.stderr)


def _turn(talk: Conversation, prompt: str, args: argparse.Namespace) -> bool:
    """Answer one turn; False where that was not possible."""
    turns = len(talk.replies)
    try:
        with closing(talk.say(prompt)) as pieces:
            _show(pieces, hidden=args.json, reasoning=not args.hide_reasoning)
    except ValueError as error:
        if args.json:
            print(json.dumps({"prompt": prompt, "error": str(error)}), flush=True)
        advice = "; /reset begins anew" if type(error).__name__ == "ContextFull" else ""
        print(f"lenswright: {error}{advice}", file=sys.stderr)
        return False
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        print()
    last = talk.replies[-1] if len(talk.replies) > turns else None
    if last is not None and last.anew and turns == 0:
        print(f"lenswright: each turn reads the whole conversation: {last.anew}", file=sys.stderr)
    if args.json and last is not None:
        print(json.dumps(last.to_dict(), ensure_ascii=False), flush=True)
    return True


def _show(pieces: Iterator[Piece], hidden: bool, reasoning: bool) -> None:
    dim, plain = (DIM, PLAIN) if sys.stdout.isatty() else ("", "")
    kind = ""
    for piece in pieces:
        if hidden or (piece.kind == "reasoning" and not reasoning):
            continue
        text = piece.text
        if piece.kind != kind:  # blanks around a part say nothing
            text = text.lstrip()
            if not text:
                continue
            print("\n" if kind else "", end="")
            kind = piece.kind
        print(f"{dim}{text}{plain}" if kind == "reasoning" else text, end="", flush=True)
    if not hidden:
        print(flush=True)
