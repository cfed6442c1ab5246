"""Whether every tensor and every key of config.json is accounted for, and every weight a number."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.model import Model

PIECE = 1 << 24
MXFP4_GROUP = 32
_WIDE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass
class Accounting:
    """Tensors and config keys by what became of them, and weights that are no numbers."""

    tensors: int = 0
    unread: list[str] = field(default_factory=list)  # hold no weight of the decoder
    parameters: int = 0
    keys: int = 0
    unknown_keys: list[str] = field(default_factory=list)
    not_numbers: dict[str, tuple[int, int]] = field(default_factory=dict)  # NaN, infinite

    def problems(self) -> list[str]:
        """One line for each tensor with NaN or infinities."""
        return [
            f"tensor '{name}' has {nan:,} NaN and {infinite:,} infinite numbers"
            for name, (nan, infinite) in self.not_numbers.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "tensors": self.tensors, "unread": self.unread, "parameters": self.parameters,
            "config_keys": self.keys, "unknown_keys": self.unknown_keys,
            "not_numbers": {n: list(counts) for n, counts in self.not_numbers.items()},
        }  # fmt: skip

    def __str__(self) -> str:
        read = self.tensors - len(self.unread)
        unread = f", {len(self.unread):,} hold no weight of the decoder" if self.unread else ""
        lines = [f"tensors      {read:,} of {self.tensors:,} read{unread}"]
        known = self.keys - len(self.unknown_keys)
        unknown = f"; unknown: {', '.join(self.unknown_keys)}" if self.unknown_keys else ""
        lines.append(f"config keys  {known:,} of {self.keys:,} known{unknown}")
        fine = f"{self.parameters:,} weights, all of them finite"
        lines += [f"weights      {line}" for line in self.problems() or [fine]]
        return "\n".join(lines)


def _counts(value: torch.Tensor) -> tuple[int, int] | None:
    """How many NaN and infinities a tensor has; None where every number is one."""
    nan = infinite = 0
    for piece in value.detach().flatten().split(PIECE):
        wide = piece if piece.dtype in _WIDE else piece.float()
        low, high = torch.aminmax(wide)
        if not bool(torch.isfinite(low) & torch.isfinite(high)):
            nan += int(wide.isnan().sum())
            infinite += int(wide.isinf().sum())
    return (nan, infinite) if nan or infinite else None


def account(model: Model) -> Accounting:
    """Count what the checkpoint holds and look at every weight once.

    Loading has refused tensors that nobody asked for and keys that ask for other arithmetic; what
    is left is counted here.
    """
    stored, checkpoint = model.core.stored(), model.core.checkpoint
    shared = checkpoint is None  # the tensors are somebody's, and there are no files
    names = list(stored) if shared else [info.name for info in checkpoint.tensors]
    found = Accounting(
        tensors=len(names),
        unread=[name for name in names if name not in stored],
        parameters=model.core.size,
        keys=0 if shared else len(json.loads(checkpoint.config_text())),
        unknown_keys=list(model.spec["unknown_keys"]),
    )
    for name, value in stored.items():
        if value.numel() and value.is_floating_point() and (counts := _counts(value)):
            found.not_numbers[name] = counts
    for form, _, scales in model.core.quantised().values():
        # An exponent of 255 is NaN, and with it its whole group (OCP MX 1.0, section 5.4).
        if form == "mxfp4" and scales in stored and (bad := int((stored[scales] == 255).sum())):
            found.not_numbers[scales] = (MXFP4_GROUP * bad, 0)
    return found
