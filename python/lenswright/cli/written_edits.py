"""Edits that `lenswright ablate` is given, or makes of a given direction."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.cli import options

if TYPE_CHECKING:
    from lenswright.edits import Edit

UNTRIED = "nothing could be tried or measured: the architecture is unknown"


def made_of(args: argparse.Namespace) -> Edit:
    """The edit of --edit, or that of --direction, of a known architecture or of tensors by name.

    Raises:
        ValueError: an option that only prompts can follow; as `edits.ablate` and `ablate_tensors`.
        FileNotFoundError: no such file or checkpoint.
    """
    import lenswright
    from lenswright import edits
    from lenswright.methods import USUAL, check
    from lenswright.story import Plan

    if args.edit is not None:
        given = [f"--{name}" for name, usual in USUAL.items() if getattr(args, name) not in usual]
        given += ["--method"] if args.method != "plain" else []
        if given:
            raise ValueError(f"{', '.join(given)}: that is how an edit is made, but --edit is made")
        return edits.load(args.edit)
    plan = Plan(
        writers=args.writers, strength=args.strength, method=args.method, rank=args.rank,
        ridge=args.ridge, massive=args.massive,
    )  # fmt: skip
    method = check(plan)
    if method.of_vector is None:
        raise ValueError(f"--method {args.method} needs --positive and --negative")
    try:
        model = lenswright.load(args.model, device=args.device, dtype=args.dtype)
    except ValueError as error:
        return _by_name(args, error)
    direction = read_direction(args.direction, model.cfg.d_model, model.cfg.n_layers)
    if args.at is not None:
        direction = _one_of(direction, *args.at)
    return method.of_vector(model, plan, direction)


def _one_of(direction: Any, point: str, position: str) -> Any:
    from lenswright.directions import Directions

    if not isinstance(direction, Directions):
        raise ValueError(f"--at is {point} {position}, but --direction holds a vector")
    return direction.only(point, options.position(position))


def _by_name(args: argparse.Namespace, why: ValueError) -> Edit:
    from lenswright import edits
    from lenswright.checkpoints.checkpoint import Checkpoint

    names = [info.name for info in Checkpoint(args.model).tensors()]
    wanted = any(_matches(pattern, names) for pattern in args.writers)
    if not wanted or args.method != "plain":
        raise why
    print(f"lenswright: {UNTRIED} ({' '.join(str(why).split())})", file=sys.stderr)
    direction = read_direction(args.direction, None, 0)
    return edits.ablate_tensors(args.model, direction, args.writers, args.strength)


def _matches(pattern: str, names: list[str]) -> bool:
    from lenswright._files import Glob

    glob = Glob(pattern)
    return any(glob.matches(name) for name in names)


def read_direction(path: str, d_model: int | None, n_layers: int) -> Any:
    """A tensor, {layer: tensor}, or `Directions`, of a file.

    Args:
        d_model, n_layers: of the model; None where nobody knows: then a vector of any length.
    """
    from lenswright.checkpoints.vector_file import read_any_vector, read_vectors
    from lenswright.directions import Directions

    if Path(path).suffix == ".safetensors" and Path(path).is_file():
        from lenswright.checkpoints.checkpoint import Checkpoint

        if "lenswright.directions" in Checkpoint(path).metadata:
            return Directions.load(path)
    if d_model is None:
        return read_any_vector(path)
    vectors = read_vectors(path, d_model, n_layers)
    if vectors.dim() == 1:
        return vectors
    return {layer: vector for layer, vector in enumerate(vectors) if bool(vector.any())}
