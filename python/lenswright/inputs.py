"""What a run may be given: text, ids, ragged lists, or a residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.model import Model

Text = str | Sequence[str]
PosSlice = int | slice | tuple[int, ...] | list[int] | None


@dataclass
class Rows:
    """Rows of token ids, and how long each is where they differ."""

    tokens: torch.Tensor | None  # [batch, pos], where every place is real
    ragged: list[list[int]] = field(default_factory=list)
    residual: torch.Tensor | None = None
    text: bool = False

    @classmethod
    def of(cls, model: Model, x: Any, start_at_layer: int | None) -> Rows:
        """Rows of a text, texts, ids [batch, pos] or [pos], lists of ids, or a residual.

        Raises:
            ValueError: the input is empty or of another shape.
            TypeError: it is of another kind.
        """
        if start_at_layer is not None:
            return cls._of_residual(model, x)
        if isinstance(x, torch.Tensor):
            return cls(cls._checked(x))
        if isinstance(x, str):
            return cls._of_lists([model.tokenizer.encode(x)], text=True)
        items = list(x)
        if not items:
            raise ValueError("the input has no rows, expected at least one")
        if all(isinstance(item, str) for item in items):
            return cls._of_lists([model.tokenizer.encode(item) for item in items], text=True)
        if all(isinstance(item, int) for item in items):
            return cls._of_lists([items])
        if any(isinstance(item, str) for item in items):
            raise TypeError("the input mixes texts and ids, expected one or the other")
        return cls._of_lists([cls._ids(index, item) for index, item in enumerate(items)])

    @staticmethod
    def _ids(index: int, row: Any) -> list[int]:
        ids = row.tolist() if isinstance(row, torch.Tensor) else list(row)
        for token in ids:
            if not isinstance(token, int) or isinstance(token, bool):
                raise TypeError(f"row {index} of the input has {token!r}, expected integer ids")
        return ids

    @classmethod
    def _of_residual(cls, model: Model, x: Any) -> Rows:
        d_model = model.cfg.d_model
        if not isinstance(x, torch.Tensor) or x.dim() != 3 or x.shape[2] != d_model:
            shape = list(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(
                f"with start_at_layer the input is {shape}, "
                f"expected a residual [batch, pos, {d_model}]"
            )
        tokens = torch.zeros(x.shape[:2], dtype=torch.int64)
        return cls(tokens, residual=x.to(model.cfg.device, model.cfg.dtype))

    @staticmethod
    def _checked(x: torch.Tensor) -> torch.Tensor:
        if (
            x.is_floating_point()
            or x.dtype == torch.bool
            or x.dim() not in (1, 2)
            or x.numel() == 0
        ):
            raise ValueError(
                f"the input is {x.dtype} {list(x.shape)}, "
                "expected integer ids [batch, pos], not empty"
            )
        return x.reshape(-1, x.shape[-1]).to(torch.int64)

    @classmethod
    def _of_lists(cls, rows: list[list[int]], text: bool = False) -> Rows:
        for index, row in enumerate(rows):
            if not row:
                raise ValueError(f"row {index} of the input is empty, expected at least one token")
        if len({len(row) for row in rows}) == 1:
            return cls(torch.tensor(rows, dtype=torch.int64), text=text)
        return cls(None, rows, text=text)

    @property
    def lengths(self) -> list[int]:
        """Real tokens of each row, or [] where every place is real."""
        return [len(row) for row in self.ragged]

    def lists(self) -> list[list[int]]:
        """The rows as lists of ids."""
        return [list(row) for row in (self.ragged if self.tokens is None else self.tokens.tolist())]

    def padded(self, side: str) -> tuple[torch.Tensor, list[int]]:
        """One rectangle [batch, pos], and the lengths. Padding is id 0; nothing reads it."""
        if self.tokens is not None:
            return self.tokens, []
        width = max(self.lengths)
        tokens = torch.zeros(len(self.ragged), width, dtype=torch.int64)
        for index, row in enumerate(self.ragged):
            start = width - len(row) if side == "left" else 0
            tokens[index, start : start + len(row)] = torch.tensor(row)
        return tokens, self.lengths

    def positions(self, pos_slice: PosSlice) -> torch.Tensor | None:
        """The places a slice names, or None for all; a tuple is (start, stop[, step])."""
        if pos_slice is None:
            return None
        width = self.tokens.shape[1] if self.tokens is not None else max(self.lengths)
        places = torch.arange(width)
        if isinstance(pos_slice, tuple):
            pos_slice = slice(*pos_slice)
        try:
            chosen = places[[pos_slice] if isinstance(pos_slice, int) else pos_slice]
        except IndexError as error:
            raise IndexError(
                f"pos_slice is {pos_slice!r}, but there are {width} positions"
            ) from error
        if chosen.numel() == 0:
            raise ValueError(f"pos_slice is {pos_slice!r}, which leaves none of {width} positions")
        return chosen
