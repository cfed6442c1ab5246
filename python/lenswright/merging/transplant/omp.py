"""Orthogonal matching pursuit: vectors as sums of few of many given ones."""

from __future__ import annotations

import torch


def pursue(targets: torch.Tensor, atoms: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices [b, k] and coefficients [b, k] with Σ coefficient · atom near each target.

    Step by step the atom most parallel to what is left joins (by the cosine; of equal ones the
    first), and what is left is made orthogonal to all that joined; the coefficients are the least
    squares' (Pati, Rezaiifar and Krishnaprasad 1993; batches share the products with all atoms).
    Where nothing is left the coefficients of further atoms are 0.

    Args:
        targets: [b, d], float64.
        atoms: [n, d], n at least k.
        k: at most d.
    """
    count, width = len(targets), targets.shape[1]
    norms = atoms.norm(dim=1)
    inverse = torch.where(norms > 0, 1 / norms.clamp_min(1e-300), torch.zeros_like(norms))
    units = atoms * inverse[:, None]
    left = targets.clone()
    sizes = targets.norm(dim=1)
    chosen = torch.zeros(count, k, dtype=torch.int64)
    basis = torch.zeros(count, k, width, dtype=targets.dtype)
    upper = torch.eye(k, dtype=targets.dtype).repeat(count, 1, 1)
    parts = torch.zeros(count, k, dtype=targets.dtype)
    used = torch.zeros(count, len(atoms), dtype=torch.bool)
    rows = torch.arange(count)
    for step in range(k):
        scores = (left @ units.t()).abs().masked_fill_(used, -1.0)
        best = scores.argmax(1)
        chosen[:, step] = best
        used[rows, best] = True
        atom = units[best]
        along = torch.zeros(count, k, dtype=targets.dtype)
        for _ in range(2):  # twice is enough: Kahan's rule for Gram and Schmidt
            part = torch.einsum("bkd,bd->bk", basis, atom)
            atom = atom - torch.einsum("bk,bkd->bd", part, basis)
            along += part
        length = atom.norm(dim=1)
        # An atom that others span already adds nothing, nor does one to a target that is reached.
        real = (length > 1e-10) & (left.norm(dim=1) > 1e-13 * sizes)
        atom = torch.where(real[:, None], atom / length.clamp_min(1e-300)[:, None], 0.0)
        upper[:, :, step] = torch.where(real[:, None], along, 0.0)
        upper[:, step, step] = torch.where(real, length, 1.0)
        basis[:, step] = atom
        parts[:, step] = torch.einsum("bd,bd->b", left, atom)
        left = left - parts[:, step, None] * atom
    solved = torch.linalg.solve_triangular(upper, parts[:, :, None], upper=True)[:, :, 0]
    return chosen, solved * inverse[chosen]
