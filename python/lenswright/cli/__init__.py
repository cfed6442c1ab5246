"""The `lenswright` command: a list of verbs, each a module that is imported only when chosen.

A verb module has `HELP` (what the verb does), `add_arguments(parser)` and `run(args)`, which
returns the exit code: 0 when all went well, 1 when the answer is no (a check that failed), 2 when
the call itself was wrong, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

# verb -> one line for the overview, in the order in which one meets them
VERBS = {
    "demo": "show the whole story on a small model that comes with the package",
    "inspect": "say what a checkpoint is, reading headers only; --check reads every byte",
    "directions": "find how two sets of prompts differ inside a model, and how surely",
    "ablate": "find a direction from two sets of prompts and take it out of the weights",
    "revert": "take an edit out of a checkpoint again, bit for bit, by the journal it kept",
    "chat": "talk to a model, as it is or with an edit or a steering",
    "steer": "make a steering, and show what prompts are answered with it and without",
    "merge": "merge checkpoints by a recipe of mergekit's grammar",
    "moe": "build a mixture of experts from dense models",
    "extract": "write what a tuned model learned as a LoRA adapter of its base",
    "align": "bring a model's units into another model's order",
    "transplant": "give a model another model's tokenizer",
    "soup": "average models, or search a recipe's numbers, by a held-out set",
    "review": "look back at a merge: differences, weights, losses, as a page",
    "lineage": "find of which models a checkpoint was merged, and how much of each",
    "diff": "compare two checkpoints tensor by tensor",
    "verify": "test that a model is read as it was meant, or a committed folder as its record says",
    "measure": "measure a model on prompts, or what an edit does to it, as a report",
    "report": "compare two reports, measure by measure",
}

OVERVIEW = """\
usage: lenswright VERB [ARGUMENTS]

Look inside a transformer language model, try an edit on it, measure what the edit does, and bake it
into the weights. Checkpoints are Hugging Face folders (config.json and safetensors files).

verbs:
{verbs}

options:
  -h, --help  show this page; 'lenswright VERB --help' explains one verb
  --version   print the version

Begin with 'lenswright demo'. Set LENSWRIGHT_TRACEBACK=1 to see where an error came from.
"""


def overview() -> str:
    """Return the page that `lenswright --help` prints."""
    width = max(map(len, VERBS)) + 2
    return OVERVIEW.format(verbs="\n".join(f"  {v:<{width}}{line}" for v, line in VERBS.items()))


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one line and the nearest valid name."""

    def error(self, message: str) -> NoReturn:
        options = [
            o for action in self._actions for o in action.option_strings if o.startswith("--")
        ]
        for word in message.split():
            near = (
                get_close_matches(word.split("=")[0], options, 1) if word.startswith("--") else []
            )
            if near and near[0] not in message:
                message += f"; did you mean '{near[0]}'?"
                break
        self.exit(2, f"{self.prog}: {message} (see '{self.prog} --help')\n")


# What is wrong with a call rather than with the program; CheckpointError is a ValueError.
USER_ERRORS = (ValueError, LookupError, OSError, ImportError)


def fail(text: str) -> int:
    """Print one line on stderr; return exit code 2."""
    print("lenswright: " + " ".join(text.split()), file=sys.stderr)
    return 2


def run_verb(verb: str, argv: Sequence[str]) -> int:
    """Parse the arguments of one verb and run it."""
    module = importlib.import_module(f"lenswright.cli.{verb}")
    parser = Parser(prog=f"lenswright {verb}", description=module.HELP, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    module.add_arguments(parser)
    code: int = module.run(parser.parse_args(argv))
    sys.stdout.flush()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own); return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    verb, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(overview(), end="")
        return 0
    if verb == "--version":
        from lenswright import __version__

        print(f"lenswright {__version__}")
        return 0
    if verb not in VERBS:
        near = get_close_matches(verb, VERBS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"the verbs are {', '.join(VERBS)}"
        return fail(f"there is no verb '{verb}'; {hint} (see 'lenswright --help')")
    try:
        return run_verb(verb, rest)
    except SystemExit as stop:  # argparse: --help is 0, a mistake is 2
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as stop:
        kept = f": {stop}" if str(stop) else ""  # what was kept, and where it goes on from
        print(f"lenswright: interrupted{kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("LENSWRIGHT_TRACEBACK") or not isinstance(error, USER_ERRORS):
            raise
        # str(KeyError) would put the message into quotes
        return fail(
            str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        )
