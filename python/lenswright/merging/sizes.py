"""Sizes of files as people write them."""

from __future__ import annotations


def byte_count(size: int | str, what: str = "shard size") -> int:
    """Bytes of a text such as "5GB", "500M" or a number, in powers of ten.

    Raises:
        ValueError: anything else, or nothing.
    """
    text = str(size).strip().upper().removesuffix("B")
    factor = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(text[-1:], 1)
    # mergekit writes 5B for five billion
    if factor == 1 and isinstance(size, str) and size.strip().upper().endswith("B"):
        factor = 10**9
    try:
        count = int(float(text.rstrip("KMGT")) * factor)
    except ValueError:
        count = 0
    if count <= 0:
        raise ValueError(f"{what} is {size!r}, expected a size such as 5GB, 500MB or 2000000000")
    return count
