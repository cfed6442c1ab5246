"""Many rows, some at a time."""

from __future__ import annotations

from collections.abc import Iterator


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices that cover `count` things, `size` at a time, the last one shorter.

    Raises:
        ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError(f"batch_size is {size}, expected at least 1")
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
