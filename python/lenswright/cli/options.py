"""Arguments that several verbs have, in the same words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

Parser = argparse.ArgumentParser


def add_model(parser: Parser) -> None:
    """The model, as the first argument."""
    parser.add_argument("model", help="checkpoint folder, or a hub id")


def add_classes(parser: Parser, required: bool = True) -> None:
    """The prompts of both classes."""
    add = parser.add_argument
    add("--positive", required=required, metavar="FILE", help="prompts that show the behaviour")
    add("--negative", required=required, metavar="FILE", help="prompts that do not")


def add_texts(parser: Parser) -> None:
    """Plain texts that are read."""
    parser.add_argument("--text", action="append", default=[], metavar="FILE",
        help="a plain text on which the loss is measured; may be repeated")  # fmt: skip


def add_margin(parser: Parser) -> None:
    """How sure rates must be."""
    parser.add_argument("--margin", type=float, metavar="X", help="how far 95 %% intervals of "
        "rates may reach to either side, such as 0.05; fewer prompts than that takes are an "
        "error")  # fmt: skip


def add_answers(parser: Parser) -> None:
    """How long answers that are measured may be."""
    parser.add_argument("--max-new-tokens", type=int, default=32, metavar="N",
        help="length of answers (default: 32)")  # fmt: skip


def add_batch_size(parser: Parser, rows: int = 64, of: str = "prompts at a time") -> None:
    """How much is run at once."""
    parser.add_argument("--batch-size", type=int, default=rows, metavar="N",
        help=f"{of} (default: {rows})")  # fmt: skip


def add_computation(parser: Parser) -> None:
    """In which type to compute, and where."""
    add = parser.add_argument
    add("--dtype", default="auto", metavar="TYPE", help="of the computation (default: auto)")
    add("--device", default="cpu", help="where to compute (default: cpu)")


def add_json(parser: Parser, what: str = "print the result as JSON") -> None:
    """Plain data instead of lines for people."""
    parser.add_argument("--json", action="store_true", help=what)


def add_recipe(parser: Parser, what: str) -> None:
    """A recipe, where its result goes, and whether it is only planned."""
    add = parser.add_argument
    add("recipe", type=Path, help=what)
    add_output(parser)
    add("--dry-run", action="store_true", help="check and plan only: bytes, memory, tensors")


def add_output(parser: Parser) -> None:
    """The folder that is written, as the last argument without a name."""
    parser.add_argument("out", type=Path, help="folder to write; must not exist")


def add_shard_size(parser: Parser, *others: str) -> None:
    """How large a written file may be; `others`: names that mean the same."""
    parser.add_argument("--shard-size", *others, default="5GB", metavar="SIZE",
        help="of a file at most (default: 5GB)")  # fmt: skip


def add_threads(parser: Parser, *others: str) -> None:
    """How many threads work; `others`: names that mean the same."""
    parser.add_argument("--threads", *others, type=int, default=0, metavar="N",
        help="threads (default: one per processor)")  # fmt: skip


def add_needless(parser: Parser, why: Mapping[str, str]) -> None:
    """Flags of mergekit's, and their --no- forms, that are understood and change nothing."""
    for flag in why:
        for form in (flag, f"--no-{flag[2:]}"):
            parser.add_argument(form, action="append_const", dest="needless", const=form,
                help=argparse.SUPPRESS)  # fmt: skip


def needless(args: argparse.Namespace, why: Mapping[str, str]) -> dict[str, str]:
    """Those flags that were given, their --no- forms among them, and why each changes nothing."""
    known = {f"--no-{flag[2:]}": reason for flag, reason in why.items()} | dict(why)
    return {flag: known[flag] for flag in args.needless or []}


def tell_needless(why: Mapping[str, str]) -> None:
    """Say it of those that were given."""
    for flag, reason in why.items():
        print(f"lenswright: {flag} has no effect: {reason}", file=sys.stderr)


def position(text: str) -> str | int:
    """A position as it is written: the rule of that name, or the place."""
    try:
        return int(text)
    except ValueError:
        return text
