"""What a merge wrote, or would write."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORD = "lenswright.json"


@dataclass
class Merged:
    """What a merge wrote, or would write (`dry`)."""

    folder: Path
    method: str
    mode: str
    seed: int
    random: bool
    dry: bool
    tensors: int
    copied: int
    read_bytes: int
    write_bytes: int
    memory_bytes: int
    models: list[str]
    unused: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_finite: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """For people."""
        verb = "would be" if self.dry else "were"
        lines = [
            f"{self.method} of {len(self.models)} models ({self.mode})"
            + (f", seed {self.seed}" if self.random else ""),
            f"tensors  {self.tensors:,}, of which {self.copied:,} {verb} copied as they are",
            f"bytes    {self.read_bytes:,} read, {self.write_bytes:,} written; "
            f"{self.memory_bytes / 1e6:,.0f} MB of private memory at most",
        ]
        for why, names in self._unused().items():
            some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            lines.append(f"unused   {len(names):,} input tensors ({why}): {some}")
        lines += [f"note     {note}" for note in self.notes[:20]]
        if len(self.notes) > 20:
            lines.append(f"note     and {len(self.notes) - 20} more, in {RECORD}")
        lines += [f"not finite {n:,} elements of {name}" for name, n in self.not_finite.items()]
        lines.append(f"{'would write' if self.dry else 'wrote'} {self.folder}")
        return "\n".join(lines)

    __str__ = text

    def _unused(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for model, tensor, why in self.unused:
            out.setdefault(why, []).append(f"{tensor} of {model}")
        return out

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "folder": str(self.folder), "method": self.method, "mode": self.mode,
            "seed": self.seed if self.random else None, "dry_run": self.dry,
            "models": self.models, "tensors": self.tensors, "copied": self.copied,
            "bytes_read": self.read_bytes, "bytes_written": self.write_bytes,
            "memory_bytes": self.memory_bytes, "notes": self.notes,
            "unused": [{"model": m, "tensor": t, "why": w} for m, t, w in self.unused],
            "not_finite": self.not_finite,
        }  # fmt: skip
