"""What becomes of an edit on disk: a checkpoint, an adapter, a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lenswright import _core
from lenswright.editing import committing
from lenswright.editing.committing import Committed, Report
from lenswright.editing.model_card import card_and_figures
from lenswright.editing.planning import Planned, planned

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.editing.lora import Adapter
    from lenswright.model import Model
    from lenswright.report import Report as Measured


class EditFiles:
    """How an edit is committed, planned, exported and saved."""

    native: _core.Edit
    model: Model | None

    def commit(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str] | None = None,
        progress: bool | Report = True,
        *,
        journal: bool = False,
        in_place: bool = False,
        measured: Measured | None = None,
    ) -> Committed:
        """Write a checkpoint with the edit in its weights to a new folder.

        Streams shard by shard in constant memory. What the edit does not touch is carried over byte
        for byte; tied embeddings whose token embedding is edited are untied; `lenswright.json` in
        the folder says what was done, factors included, and README.md, the model card, gets a
        section that says it to people. The folder appears whole or not at all.

        Nothing stays quantised beside an edit: of an fp8 or MXFP4 checkpoint every quantised tensor
        is written in bfloat16, under the name that `transformers` has for it, and config.json says
        so (`Committed.dequantised`). An edit of nothing leaves it as it was.

        Args:
            source: checkpoint folder, or a hub id.
            target: folder to write; must not exist.
            progress: show it, or a function (bytes done, bytes in all) that returns False to stop.
            journal: also keep what `edits.revert` needs to bring the original back bit for bit:
                about 0.5 % of the edited bytes (all codes of what was quantised).
            in_place: the new folder takes the source's place, in one step at the end, always with a
                journal; until then it lies beside it and needs its room. Killed at any moment, the
                folder is the old one or the new one.
            measured: what `lw.measure` found; its figures and the hashes of its prompts go into
                lenswright.json, its rates and losses into the model card.

        Raises:
            FileExistsError: the target exists.
            FileNotFoundError: no such source, or nowhere to put the target.
            CheckpointError: the files are not what they claim to be.
            ValueError: the checkpoint has other writers, sizes or tensors than the edit was made
                for; source and target overlap; in place, the folder holds other files as well.
        """
        texts = card_and_figures(cast("Edit", self), source, journal or in_place, measured)
        return committing.commit(self.native, source, target, progress, journal, in_place, texts)

    def plan(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str] | None = None,
        *,
        journal: bool = False,
        in_place: bool = False,
    ) -> Planned:
        """What `commit` with the same arguments would do and take; nothing is kept on the disk.

        All that a commit checks before its first byte is checked, the hashes of the tensors
        included. `print(edit.plan("in/", "out/"))` says writers, bytes, seconds and memory: the
        seconds from hashing all that is edited, editing a sample and writing one (64 MB at most),
        which is removed; private memory as a bound.

        Raises:
            As `commit`.
        """
        return planned(self.native, source, target, journal, in_place)

    def to_lora(
        self,
        folder: str | os.PathLike[str],
        model: Model | None = None,
        truncate: int | None = None,
    ) -> Adapter:
        """Write the edit as a PEFT LoRA adapter, which `peft` loads onto the unedited model.

        Exact, in float32: each module gets the rank of its edit. Biases that change become biases
        of the adapter's B (`lora_bias`, peft 0.14 and later). Experts, which `transformers` keeps
        in one parameter for all, become `target_parameters` as peft 0.21 reads them.

        Args:
            folder: to write; must not exist.
            model: whose weights the edit was made for; default: the model it was made with.
            truncate: largest rank for changes of full rank (norms kept, outputs or inputs scaled),
                whose best approximation is taken; the error is in what is returned.

        Raises:
            FileExistsError: the folder exists.
            ValueError: a change of full rank and no `truncate`; tied embeddings or a norm's bias,
                which no adapter can change; biases beside modules without one or experts; experts
                where `transformers` does not know the model; other weights than the edit was made
                for; no model.
        """
        from lenswright.editing.lora import write_adapter

        base = model or self.model
        if base is None:
            raise ValueError("model is None, expected the model the edit was made for")
        return write_adapter(cast("Edit", self), folder, base, truncate)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write factors (float64) and provenance to a new .safetensors file; `load` reads it.

        Raises:
            FileExistsError: the file exists.
        """
        self.native.save(Path(path))
