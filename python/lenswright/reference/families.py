"""Every family's row, gathered from the tables beside this file."""

from __future__ import annotations

from lenswright.reference import (
    families_early,
    families_late,
    families_llama,
    families_mixtures,
)
from lenswright.reference.parts import Row

FAMILIES: dict[str, Row] = {
    **families_early.ROWS,
    **families_late.ROWS,
    **families_llama.ROWS,
    **families_mixtures.ROWS,
}
"""{model_type of config.json: row}."""
