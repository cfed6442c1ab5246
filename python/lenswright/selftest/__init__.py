"""The self-test of a loaded model: is it read as its makers meant it?

Three layers, because a wrongly read model is still a consistent transformer: every tensor and key
accounted for; invariants that any transformer keeps; and a knob scan, the only one of the three
that sees misreadings.
"""

from lenswright.selftest.result import SelfTest, VerificationError
from lenswright.selftest.test import selftest

__all__ = ["SelfTest", "VerificationError", "selftest"]
