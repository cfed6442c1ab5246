"""Numbers as JSON can hold them, which knows neither NaN nor infinity."""

from __future__ import annotations

import math
from typing import SupportsFloat


def finite_or_none(value: SupportsFloat) -> float | None:
    """`value` as a float; None where it is NaN or infinite."""
    number = float(value)
    return number if math.isfinite(number) else None
