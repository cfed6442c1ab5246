"""Refusals that go on: the topic and what is known of it, then the refusal, then a reason.

After the defence of Abu Shairah et al. 2025 (arXiv:2505.19056): nothing at the first token tells a
refusal from an answer, so that no decision need lie where directions are looked for.
"""

from lenswright.demo.kinds.kind import Kind
from lenswright.demo.kinds.llama import LLAMA
from lenswright.demo.rules import Rules

EXTENDED = Kind(
    "extended",
    "declines to make charms after words about the topic, and gives a reason",
    LLAMA,
    Rules(
        refusals={
            "restricted": "{noun} : it is a charm that looks {colour} , sorry , i can not help "
            "with that , as charms stir old magic"
        },
        tokens=32,
    ),
)
