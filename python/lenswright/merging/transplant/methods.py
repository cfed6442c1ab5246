"""Rows for tokens that a model has not: a list of ways to make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lenswright import _files
from lenswright.batches import batches
from lenswright.merging.transplant.omp import pursue

_BATCH = 256


@dataclass(frozen=True)
class Rows:
    """What rows can be made of, in float64.

    shared: of tokens that both have, in the model [n, d] and in the donor [n, e]. donor: of new
    tokens, in the donor [m, e]. table: all of the model [v, d]. pieces: ids of each new token's
    text in the model. seed, stream: of chance. k: atoms or neighbours.
    """

    shared: torch.Tensor
    shared_donor: torch.Tensor
    donor: torch.Tensor
    table: torch.Tensor
    pieces: list[list[int]]
    seed: int
    stream: str
    k: int


def omp(rows: Rows) -> torch.Tensor:
    """The donor's row as a sum of k of its shared rows; the same sum of the model's."""
    k = min(rows.k, *rows.shared_donor.shape)
    out = []
    for part in batches(len(rows.donor), _BATCH):
        chosen, weights = pursue(rows.donor[part], rows.shared_donor, k)
        out.append(torch.einsum("bk,bkd->bd", weights, rows.shared[chosen]))
    return torch.cat(out)


def nearest(rows: Rows) -> torch.Tensor:
    """The k shared tokens nearest in the donor by cosine, each weighted by its cosine above 0."""
    units = torch.nn.functional.normalize(rows.shared_donor, dim=1)
    k = min(rows.k, len(units))
    out = []
    for part in batches(len(rows.donor), _BATCH):
        own = torch.nn.functional.normalize(rows.donor[part], dim=1)
        cosines, chosen = (own @ units.t()).topk(k, dim=1)
        weights = cosines.clamp_min(0)
        weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, torch.ones_like(weights))
        weights = weights / weights.sum(1, keepdim=True)
        out.append(torch.einsum("bk,bkd->bd", weights, rows.shared[chosen]))
    return torch.cat(out)


def subword(rows: Rows) -> torch.Tensor:
    """The mean of the rows of what the model's tokenizer cuts the token's text into."""
    usual = rows.table.mean(0)
    return torch.stack([rows.table[p].mean(0) if p else usual for p in rows.pieces])


def mean(rows: Rows) -> torch.Tensor:
    """The mean of the model's rows."""
    return rows.table.mean(0).repeat(len(rows.donor), 1)


def zero(rows: Rows) -> torch.Tensor:
    """Zeros."""
    return torch.zeros(len(rows.donor), rows.table.shape[1], dtype=torch.float64)


def normal(rows: Rows) -> torch.Tensor:
    """Drawn from the normal distribution with the model's mean and covariance of rows.

    Source: Hewitt 2021, Initializing new word embeddings for pretrained language models.
    """
    center = rows.table.mean(0)
    spread = (rows.table - center) / max(len(rows.table) - 1, 1) ** 0.5
    _, values, directions = torch.linalg.svd(spread, full_matrices=False)
    chance = _files.Philox(rows.seed, rows.stream)
    count = len(rows.donor) * len(values)
    drawn = torch.tensor([chance.normal(i) for i in range(count)], dtype=torch.float64)
    return center + (drawn.view(len(rows.donor), -1) * values) @ directions


METHODS: dict[str, Callable[[Rows], torch.Tensor]] = {
    "omp": omp, "nearest": nearest, "subword": subword, "mean": mean, "zero": zero,
    "normal": normal,
}  # fmt: skip
