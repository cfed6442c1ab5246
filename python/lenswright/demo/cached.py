"""Demonstration models trained once on this machine and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from lenswright.demo.kinds import Kind, kind_named


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/lenswright/demo`, or `~/.cache/lenswright/demo`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "lenswright" / "demo"


SOURCES = ("folder", "language", "phases", "rules", "tokenizer", "train", "world")
"""The modules that make a trained model of a kind's rows."""


def key(kind: Kind, seed: int) -> str:
    """The name that a trained model is kept under: its kind, its seed and a hash.

    The hash is of the kind's rows, of the modules that train it and of torch's version: what was
    trained otherwise is trained again.
    """
    import torch

    from lenswright.demo import folder as files

    network = kind.network
    rows = (seed, files.config(kind), files.shapes(kind), network.writers, network.scales,
            network.gain, network.inputs_first, kind.rules, kind.phases, kind.of)  # fmt: skip
    digest = hashlib.sha256(f"{torch.__version__} {rows}".encode())
    for name in SOURCES:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return f"{kind.name}-{seed}-{digest.hexdigest()[:12]}"


def trained(kind: str = "base", seed: int = 2, progress: bool = True) -> Path:
    """The folder of a trained demonstration model, trained now unless it was before.

    Args:
        kind: one of `lenswright.demo.KINDS`.
        seed: of the first weights and of the examples. The base model of seed 2 is the shipped
            one's recipe, though other machines may round it differently.
        progress: show how far training is; it takes one to three minutes.

    Raises:
        ValueError: no such kind.
    """
    what = kind_named(kind)
    cache = cache_folder()
    folder = cache / key(what, seed)
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Whole or not at all, even where two processes train the same one at a time.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".") as scratch:
        made = Path(scratch) / "model"
        _make(made, what, seed, progress)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def _make(folder: Path, kind: Kind, seed: int, progress: bool) -> None:
    from lenswright.demo import folder as files
    from lenswright.demo import train

    if not kind.of:
        train.train(folder, seed, progress=progress, kind=kind.name)
        return
    from lenswright.loading import load

    model = load(trained(kind.of, seed, progress), dtype="float32")
    files.write(folder, model.parameters(), kind)
