"""The best product of thin factors for a matrix: by its singular values, exactly or at random."""

from __future__ import annotations

import torch

from lenswright import _files

OVERSAMPLING = 10
ITERATIONS = 2
_NOISE = 1e-9  # of the largest singular value: what float64 and stored types leave of zeros


def factored(
    matrix: torch.Tensor, rank: int, exact: bool, seed: int, stream: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """out [m, r] and inputs [n, r] with out inputsᵀ near `matrix`, r at most `rank`.

    exact: the truncated singular value decomposition, the nearest of all (Eckart and Young 1936).
    Otherwise subspace iteration from a Gaussian sketch of rank + 10 columns, two rounds, each
    orthonormalised (Halko, Martinsson and Tropp 2011, SIAM Review 53, algorithms 4.4 and 5.1).
    Singular values go to both factors by their roots; those below 1e-9 of the largest are left out.

    Args:
        matrix: [m, n], float64.
        rank: at least 1.
        exact: by the whole decomposition.
        seed, stream: of the sketch.
    """
    if exact:
        u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    else:
        u, s, vt = _randomised(matrix, rank, seed, stream)
    kept = min(rank, max(1, int((s > _NOISE * s[0]).sum())))
    root = s[:kept].sqrt()
    return u[:, :kept] * root, vt[:kept].t() * root


def _randomised(
    matrix: torch.Tensor, rank: int, seed: int, stream: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    m, n = matrix.shape
    width = min(rank + OVERSAMPLING, m, n)
    generator = torch.Generator().manual_seed(_files.Philox(seed, stream).word(0))
    sketch = torch.randn(n, width, generator=generator, dtype=matrix.dtype)
    basis, _ = torch.linalg.qr(matrix @ sketch)
    for _ in range(ITERATIONS):
        other, _ = torch.linalg.qr(matrix.t() @ basis)
        basis, _ = torch.linalg.qr(matrix @ other)
    small_u, s, vt = torch.linalg.svd(basis.t() @ matrix, full_matrices=False)
    return basis @ small_u, s, vt
