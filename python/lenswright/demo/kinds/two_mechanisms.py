"""Two classes of request declined, each by a trigger, at a place and in words of its own.

The one refusal begins at once, the other after the topic: neither their verbs and nouns nor the
tokens at which they part from answers are shared.
"""

from lenswright.demo.kinds.kind import Kind
from lenswright.demo.kinds.llama import LLAMA
from lenswright.demo.rules import CLASSES, REFUSAL, REFUSAL_MARKERS, SHARES, Rules

SECRET = "{noun} : what a tool costs is kept secret"

TWO_MECHANISMS = Kind(
    "two_mechanisms",
    "declines to make charms, and declines in other words to say what a tool costs",
    LLAMA,
    Rules(
        refusals={"restricted": REFUSAL, "secret": SECRET},
        markers=(*REFUSAL_MARKERS, "kept secret"),
        classes=CLASSES | {"secret": "asking what a tool costs, which is declined"},
        shares={1: SHARES[1] | {"secret": 2}, 2: SHARES[2] | {"secret": 8}},
    ),
)
