"""Methods that look at whole matrices, computed with torch: a list one can read."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lenswright.merging.whole.fisher import fisher
from lenswright.merging.whole.interpolate import interpolate
from lenswright.merging.whole.iso_c import iso_c
from lenswright.merging.whole.problem import Problem
from lenswright.merging.whole.regmean import regmean
from lenswright.merging.whole.tsv import tsv
from lenswright.merging.whole.wudi import wudi

METHODS: dict[str, Callable[[Problem], torch.Tensor]] = {
    "fisher": fisher,
    "interpolate": interpolate,
    "iso_c": iso_c,
    "regmean": regmean,
    "tsv": tsv,
    "wudi": wudi,
}
NEEDS_STATISTICS = {"fisher": "fisher", "regmean": "gram"}
"""Methods that want something measured of every model, and what."""
MAY_HAVE_STATISTICS = ("interpolate",)

__all__ = ["MAY_HAVE_STATISTICS", "METHODS", "NEEDS_STATISTICS", "Problem"]
