"""Checkpoints put together from tensors of others, and from some that are in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright import _files
from lenswright.merging.inputs import buffer
from lenswright.merging.merged import RECORD
from lenswright.merging.sizes import byte_count
from lenswright.progress import Progress

if TYPE_CHECKING:
    import torch

__all__ = ["RECORD", "Assembly", "checked_target"]

_MADE = "tensors in memory"

Place = Path | tuple[Path, Path]


def checked_target(output: str | os.PathLike[str]) -> Path:
    """The folder to write.

    Raises:
        FileExistsError: it exists. FileNotFoundError: there is no folder to put it in.
    """
    target = Path(output)
    if target.exists():
        raise FileExistsError(f"output folder exists: '{target}'")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder to put the output in: '{target.absolute().parent}'")
    return target


class Assembly:
    """A model as a list of tensors: `take` those of models, `make` those that are computed.

    Args:
        places: where each model lies; a pair with an adapter's.
        donor: whose files beside the weights go along.
        config: config.json.
        seed: of noise.
        shard_size: bytes of a file at most, or text such as "5GB".
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        donor: str,
        config: Mapping[str, Any],
        seed: int = 0,
        shard_size: int | str = "5GB",
    ) -> None:
        self._places = dict(places)
        self._donor, self._config = donor, dict(config)
        self._seed, self._shard = seed, byte_count(shard_size)
        self._pieces: list[tuple[str, str, str, str, float, float]] = []

    def take(
        self, name: str, model: str, tensor: str, dtype: str = "", scale: float = 1.0,
        noise: float = 0.0,
    ) -> None:  # fmt: skip
        """A tensor of a model, times a number and with noise; dtype "": as it is stored."""
        self._pieces.append((name, model, tensor, dtype, scale, noise))

    def make(self, name: str, dtype: str = "") -> None:
        """A tensor that is given when the plan is made."""
        self._pieces.append((name, _MADE, name, dtype, 1.0, 0.0))

    def plan(self, made: Mapping[str, torch.Tensor]) -> Any:
        """A plan, checked whole.

        Args:
            made: the tensors of `make` by name, on the CPU.

        Raises:
            ValueError: a tensor that a model lacks, a name twice, a type that is no number's.
            CheckpointError: a model that is not what it claims to be.
        """
        inputs: list[tuple[str, Any]] = list(self._places.items())
        inputs.append((_MADE, [buffer(key, value) for key, value in made.items()]))
        return _files.plan_assembly(
            inputs, self._donor, self._pieces, json.dumps(self._config), self._seed, self._shard
        )

    def run(
        self,
        plan: Any,
        target: Path,
        files: Sequence[tuple[str, str]],
        what: str,
        threads: int = 0,
        progress: bool = True,
    ) -> None:
        """Write the folder; `files` are texts that go beside the weights, "" leaves one out."""
        with Progress(what, plan.write_bytes, "bytes", progress) as bar:
            plan.run(target, list(files), lambda n, _total: bar.step(n - bar.done), threads)
