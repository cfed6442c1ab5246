"""The valid name nearest to one that is not, as every message tells it."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[object], *, cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or nothing where none is like it.

    cutoff: how alike they have to be, from 0 to 1 (the ratio of difflib).
    """
    import difflib  # only where there is a mistake to tell: `import lenswright` stays quick

    near = difflib.get_close_matches(str(name), [str(other) for other in known], 1, cutoff)
    return f"; did you mean '{near[0]}'?" if near else ""
