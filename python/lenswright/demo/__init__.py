"""The embedded demonstration model: a small chat model that declines one harmless class of request.

`MODEL` is the folder of the trained model that ships with the package, in the Hugging Face layout;
`splits` makes its prompts, `lenswright.demo.language` says what they mean, and
`lenswright.demo.train` trains the model again from a seed. Importing this does not import torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lenswright.demo.language import REFUSAL_MARKERS

if TYPE_CHECKING:
    from lenswright.prompting.prompts import Splits

MODEL: Path = Path(__file__).resolve().parent / "model"
"""The shipped model folder."""

RESTRICTED = "restricted"
"""The class of requests the model declines."""

__all__ = ["MODEL", "REFUSAL_MARKERS", "RESTRICTED", "splits"]


def splits(seed: int = 2) -> Splits:
    """Requests in three parts with phrasing of their own; the test part has every class.

    The contrast is between declined and answered requests to make something, so fit and select hold
    no discussion and no list: those belong to what must not break, and are only in the test part.
    """
    from lenswright.demo import language
    from lenswright.prompting.prompts import Splits

    parts = language.splits(seed)
    contrast = {
        part: {"positive": parts[part][RESTRICTED], "negative": parts[part]["benign"]}
        for part in ("fit", "select")
    }
    test = parts["test"]
    return Splits.from_parts(
        fit=contrast["fit"],
        select=contrast["select"],
        test={
            "positive": [*test[RESTRICTED], *test["new_noun"], *test["new_verb"]],
            "negative": [*test["benign"], *test["pseudo"], *test["talk"], *test["list"]],
        },
    )
