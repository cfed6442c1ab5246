"""Lines of ids that begin alike, in one row of a batch: what they share stands there once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model

BUDGET = 1024  # places of a row, where lines are shorter


@dataclass
class Pack:
    """Some of the lines given, as one row of ids that branches.

    lines: which. tokens: the ids of the row. forks: (place it goes on from or -1, length) of every
    stretch of it. places: by line, where each of its ids stands.
    """

    lines: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    forks: list[tuple[int, int]] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict)

    def add(self, line: int, ids: Sequence[int], shared: int) -> None:
        """Add a line that begins with so many ids as the line added before it."""
        above = self.places[self.lines[-1]][:shared] if self.lines else []
        start, new = len(self.tokens), len(ids) - shared
        if new:
            self.tokens += ids[shared:]
            self.forks.append((above[-1] if above else -1, new))
        self.lines.append(line)
        self.places[line] = above + list(range(start, start + new))


def packed(lines: Sequence[Sequence[int]], budget: int = BUDGET) -> list[Pack]:
    """All lines in few rows of at most `budget` places, or one line; 0 gives each a row."""
    packs: list[Pack] = []
    before: Sequence[int] = ()
    # In their order neighbours share the most.
    for line in sorted(range(len(lines)), key=lambda i: list(lines[i])):
        ids = lines[line]
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b),
            min(len(before), len(ids)),
        )
        if not packs or len(packs[-1].tokens) + len(ids) - shared > budget:
            packs.append(Pack())
            shared = 0
        packs[-1].add(line, ids, shared)
        before = ids
    return packs


def budget_of(model: Model) -> int:
    """What fits a model: rows of their own where hooks or steerings see them, or where rotations
    depend on how long a row is.
    """
    watched = bool(model._hooks or model._steerings)
    grows = any(rope["scaling"] in ("dynamic", "longrope") for rope in model.spec["ropes"])
    return 0 if watched or grows else BUDGET


def pack_taps(model: Model, pack: Pack, rows: int, prompt: int) -> _core.Taps:
    """Taps for so many equal rows of a pack, with what is active on the model.

    `prompt`: how many ids are the prompt, where the pack is a single line.
    """
    count = len(pack.tokens) if len(pack.lines) > 1 else prompt
    return new_taps(model, [pack.tokens] * rows, [count] * rows)


def run_pack(
    model: Model,
    pack: Pack,
    taps: _core.Taps,
    rows: int,
    wanted: Sequence[int] | None,
    start_at_layer: int = 0,
    residual: torch.Tensor | None = None,
) -> None:
    """Run so many equal rows of a pack through taps, as deep as they are.

    Args:
        wanted: places, ascending, that alone are seen behind the last block's attention.
        residual: [rows, pos, d_model] before `start_at_layer`.
    """
    device = model.core.device
    tokens = torch.tensor([pack.tokens] * rows, device=device)
    places = None if wanted is None else torch.tensor(wanted, device=device)
    forks = pack.forks if len(pack.forks) > 1 else []
    model.core.run(taps, tokens, [], "right", "none", start_at_layer, None, residual, forks, places)
