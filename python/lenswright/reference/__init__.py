"""The oracle: `transformers` models of every family that hand out the tensor behind each point."""

from lenswright.reference.families import FAMILIES
from lenswright.reference.model import Reference
from lenswright.reference.parts import Parts
from lenswright.reference.points import EXPANDED, is_expanded, site

__all__ = ["EXPANDED", "FAMILIES", "Parts", "Reference", "is_expanded", "site"]
