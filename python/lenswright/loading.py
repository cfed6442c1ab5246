"""Loading models from checkpoints."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from lenswright import _core
from lenswright.model import Model


def load(
    path_or_hub_id: str | Path,
    device: str = "cpu",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    strict: bool = False,
    verify: bool = False,
) -> Model:
    """Load a checkpoint: a folder, or a hub id (safetensors and small files only).

    Args:
        path_or_hub_id: a folder with config.json and safetensors, or a hub id.
        device: where to compute.
        dtype: type of the computation: "auto", "float64", "float32", "bfloat16", "float16", or a
            torch.dtype. Weights stay as stored and are widened on use. "auto" is the stored type,
            or float32 for 16-bit weights on a CPU. fp8 with scales for blocks and MXFP4 stay so
            too; "auto" is then the type of the weights that are not quantised.
        revision: of a hub id.
        strict: config keys nobody knows are errors instead of a warning.
        verify: test the model by itself (`Model.verify`) before it is handed out: seconds for small
            ones. Where how it is read cannot be judged, as with random weights, a warning says so.

    Raises:
        FileNotFoundError: no such folder.
        CheckpointError: the files are not what they claim to be.
        ValueError: unknown family, weights quantised in another way than fp8 or MXFP4 or whose
            scales do not fit them, a config key that asks for other arithmetic, a device or type
            that is not there.
        VerificationError: `verify` found weights that are no numbers, a broken invariant, or a knob
            that is misread; the message names it.
    """
    from lenswright.checkpoints.checkpoint import Checkpoint

    checkpoint = Checkpoint(path_or_hub_id, revision=revision)
    name = str(dtype).removeprefix("torch.")
    core = _core.Model.load(
        checkpoint.native, device=checked_device(device), dtype=name, strict=strict
    )
    model = Model(core, checkpoint.folder)
    if verify:
        _require_sound(model)
    return model


def _require_sound(model: Model) -> None:
    from lenswright.selftest import VerificationError

    found = model.verify()
    if not found.ok:
        raise VerificationError(found)
    if not found.judged:
        warnings.warn(f"verify: {found.scan.silent}", stacklevel=3)


def checked_device(device: str) -> str:
    """The device, where torch has it.

    Raises:
        ValueError: it has not.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"device is '{device}', expected 'cpu', 'cuda' or 'cuda:N'") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is '{device}', but torch finds no CUDA device; expected 'cpu'")
    return device
