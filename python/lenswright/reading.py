"""What a pass of a model reads: the position of every token in its row, and where prompts end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lenswright.inputs import Rows


@dataclass(frozen=True)
class Reading:
    """The rows of a run and how far into them its passes are.

    rows: ids of each. prompts [rows] int64: how many of them are the prompt; what lies behind was
    said, or is forced on the model as if it had been. now: positions [rows or 1, n] int64 of the
    pass under way, in their rows.
    """

    rows: list[list[int]]
    prompts: torch.Tensor
    now: Callable[[], torch.Tensor]
    behind: bool = False  # whether its passes read nothing but what was said

    @classmethod
    def of(cls, rows: Rows, side: str = "right", prompts: Sequence[int] | None = None) -> Reading:
        """Of one pass over whole rows; without `prompts` they are prompts and nothing else."""
        tokens, lengths = rows.padded(side)
        count, width = tokens.shape
        held = torch.tensor(lengths or [width] * count)
        places = torch.arange(width).expand(count, -1)
        if side == "left":
            places = places - (width - held)[:, None]
        ends = held if prompts is None else torch.tensor(list(prompts))
        return cls(rows.lists(), ends, lambda: places)
