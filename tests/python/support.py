"""What several test files share: random tokens, and the worst of many relative errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lenswright.verifying.verify import relative_error

LIMITS = {"float64": 1e-10, "float32": 1e-5}


def random_tokens(batch: int, length: int, vocab: int = 97, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocab, (batch, length), generator=generator)


def worst(
    ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]
) -> tuple[float, str]:
    """The largest relative error over the names of `theirs`, and where it is."""
    assert theirs, "nothing to compare"
    errors = {name: relative_error(ours[name], value) for name, value in theirs.items()}
    name = max(errors, key=lambda n: errors[n])
    return errors[name], name


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit for bit, shape and type included (equal NaNs count as equal)."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.isnan(), b.isnan()) and (
        torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))
    )  # fmt: skip


def next_token_loss(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of each position's prediction of the next token."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Store a checkpoint's weights again, as `change` leaves or returns them."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights = change(weights) or weights
    path.unlink()
    save_file({n: w.contiguous() for n, w in weights.items()}, path, {"format": "pt"})


def write(path: Path, **tensors: torch.Tensor) -> Path:
    """A safetensors file of these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"format": "pt"})
    return path
