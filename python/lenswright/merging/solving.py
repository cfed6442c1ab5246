"""Which recipes need a solver: methods that look at whole matrices are computed with torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenswright import _files

if TYPE_CHECKING:
    from lenswright.merging.recipes import Document
    from lenswright.merging.whole.solver import Solver


def solver_for(document: Document) -> Solver | None:
    """The solver of a recipe, None where its method needs none; torch is imported only then.

    Raises:
        ValueError, FileNotFoundError: statistics that lack, or that nobody asked for.
    """
    whole = {entry["name"] for entry in _files.merge_methods() if entry["whole"]}
    if document.data.get("merge_method") not in whole and not document.statistics():
        return None
    from lenswright.merging.whole.solver import Solver

    return Solver(document)
