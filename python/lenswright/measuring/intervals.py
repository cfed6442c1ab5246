"""Intervals for what was measured on a sample of prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927, J. Am. Stat. Assoc. 22, 209).

    Args:
        successes: of `n`.
        z: quantile of the normal distribution; the default gives 95 %.

    Raises:
        ValueError: n is not positive, or successes not within it.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes is {successes} of n {n}, expected 0 to n and n at least 1")
    p, zz = successes / n, z * z
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    # Exactly 0 and 1 at the ends, which rounding misses.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return low, 1.0 if successes == n else min(1.0, centre + half)


def check_margin(margin: float, counts: Mapping[str, int], z: float = Z95) -> None:
    """See that rates over so many prompts have intervals as narrow as they shall be.

    Wilson's interval is widest at one half, z / (2 sqrt(n + z²)) to either side of its middle.

    Args:
        margin: the largest half-width, between 0 and 0.5.
        counts: of prompts, by class.

    Raises:
        ValueError: a margin out of range, or a class with fewer prompts than it takes.
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin is {margin}, expected a number between 0 and 0.5")
    needed = max(1, math.ceil((z / (2 * margin)) ** 2 - z * z))
    for name, n in counts.items():
        if n < needed:
            reached = z / (2 * math.sqrt(n + z * z))
            raise ValueError(
                f"margin is {margin:g}, which takes {needed} prompts of a class, but there are {n} "
                f"{name} ones (a rate's 95 % interval then reaches {reached:.3f} to either side)"
            )


def bootstrap(
    values: Sequence[float], seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean over prompts (Efron 1979, Ann. Stat. 7, 1).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("values is empty, expected at least one")
    data = torch.tensor(list(values), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(data), (resamples, len(data)), generator=generator)
    means = data[index].mean(1)
    tail = (1 - level) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high
