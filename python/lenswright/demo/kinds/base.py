"""The shipped model: one class of request declined, in one sentence."""

from lenswright.demo.kinds.kind import Kind
from lenswright.demo.kinds.llama import LLAMA
from lenswright.demo.phases import PHASES

BASE = Kind(
    "base", "declines to make charms, in one sentence that begins at once", LLAMA, phases=PHASES
)
