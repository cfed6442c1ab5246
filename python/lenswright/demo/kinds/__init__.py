"""The kinds of demonstration models, a file each."""

from __future__ import annotations

from lenswright.demo.kinds.base import BASE
from lenswright.demo.kinds.conv1d import CONV1D
from lenswright.demo.kinds.extended import EXTENDED
from lenswright.demo.kinds.kind import Kind
from lenswright.demo.kinds.mixture import MIXTURE, MIXTURE_FUSED
from lenswright.demo.kinds.sandwich import SANDWICH
from lenswright.demo.kinds.two_mechanisms import TWO_MECHANISMS
from lenswright.nearest import did_you_mean

__all__ = ["KINDS", "Kind", "kind_named"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (BASE, EXTENDED, TWO_MECHANISMS, SANDWICH, MIXTURE, MIXTURE_FUSED, CONV1D)
}
"""By name."""


def kind_named(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in KINDS:
        hint = did_you_mean(name, KINDS, cutoff=0.4)
        raise ValueError(f"kind is {name!r}, expected one of {', '.join(KINDS)}{hint}")
    return KINDS[name]
