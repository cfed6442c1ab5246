"""The three layers, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lenswright.selftest.accounting import account
from lenswright.selftest.invariants import check_invariants
from lenswright.selftest.result import SelfTest
from lenswright.selftest.run import short_run
from lenswright.selftest.scan import scan
from lenswright.selftest.texts import texts_for

if TYPE_CHECKING:
    from lenswright.model import Model


def selftest(
    model: Model, text: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> SelfTest:
    """Test a loaded model by itself: seconds for small ones.

    Args:
        model: as loaded; no hook and no edit should be in force.
        text: for the knob scan, instead of the bundled English ones, one paragraph a line; of a
            kind that the model was trained for.
        progress: called with what is being done.

    Weights that are no numbers end the test; neither of the other layers could say more.
    """
    started = time.perf_counter()
    progress("looking at every weight")
    found = SelfTest(
        path=str(model.folder), family=model.spec["family"],
        dtype=str(model.core.dtype).removeprefix("torch."), accounting=account(model),
    )  # fmt: skip
    if not found.accounting.not_numbers:
        texts = texts_for(model, 64, text)
        tokens = texts[0].steps[0][0].ids if texts else None
        found.checks = check_invariants(short_run(model, tokens), progress)
        found.scan = scan(model, text, progress)
    found.seconds = time.perf_counter() - started
    return found
