"""What the tests of `lenswright ablate --method` share: prompts in files, a network with biases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import embedded

Said = Callable[..., tuple[int, Any]]
"""Runs the command: its exit code, and what it said; the fixture `said`."""


def prompts(folder: Path) -> list[str]:
    """Arguments that name declined requests, and answered ones of the same nouns and verbs."""

    def write(name: str, rows: list[dict[str, Any]]) -> str:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder / name)

    contrast = embedded.rows("test", "benign", 90) + embedded.rows("test", "pseudo", 90)
    return ["--positive", write("a.jsonl", embedded.rows("test", "restricted", 90)),
            "--negative", write("b.jsonl", contrast)]  # fmt: skip


def with_biases(path: Path) -> Path:
    """A network like GPT-2 that knows the same words, untrained."""
    from lenswright.demo import folder
    from lenswright.demo.kinds import KINDS

    folder.write(path, folder.initial(5, KINDS["conv1d"]), KINDS["conv1d"])
    return path
