"""The valid name nearest to one that is not, as every message tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def did_you_mean(name: object, known: Iterable[object], *, cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or nothing where none is like it.

    cutoff: how alike they have to be, from 0 to 1 (the ratio of difflib).
    """
    import difflib  # only where there is a mistake to tell: `import lenswright` stays quick

    near = difflib.get_close_matches(str(name), [str(other) for other in known], 1, cutoff)
    return f"; did you mean '{near[0]}'?" if near else ""


def expected_one_of(
    name: str, value: object, known: Collection[object], *, cutoff: float = 0.6
) -> str:
    """The message where an argument is none of the known values, with the nearest of them."""
    hint = did_you_mean(value, known, cutoff=cutoff)
    return f"{name} is {value!r}, expected one of {list(known)}{hint}"
