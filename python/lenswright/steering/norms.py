"""How long the residual stream's vectors are, layer by layer: the unit of relative strengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.batches import batches
from lenswright.tapped import new_taps, run_taps

if TYPE_CHECKING:
    from lenswright.model import Model


def residual_norms(
    model: Model,
    prompts: Sequence[str],
    at: str = "resid_pre",
    skip_first: bool = True,
    batch_size: int = 32,
) -> dict[int, float]:
    """The mean norm of the vectors at a point of every layer, over all tokens of some prompts.

    For strengths in the unit "relative". The same bytes for any batch size.

    Args:
        model: that reads them, under the edits and steerings in force.
        prompts: texts; user turns where there is a chat template.
        at: the point, as in `lw.steering.add`.
        skip_first: leave out each row's first token, whose norm is a hundred times that of others
            in many models (massive activations, Sun et al. 2024, arXiv:2402.17762).
        batch_size: prompts at a time.

    Returns:
        {layer: mean norm}, float64 sums.

    Raises:
        ValueError: no prompts; no token is left; numbers that are not finite.
        KeyError: the model has no such point.
    """
    rows = model.prompt_tokens(list(prompts))
    if not rows or isinstance(prompts, str):
        raise ValueError(f"prompts is {prompts!r}, expected a list of at least one text")
    names = [model.names.short(at, layer) for layer in range(model.cfg.n_layers)]
    first = int(skip_first)
    norms: list[list[torch.Tensor]] = [[] for _ in names]
    with torch.no_grad(), _core.deterministic():
        for some in batches(len(rows), batch_size):
            part = rows[some]
            taps = new_taps(model, part)
            for name in names:
                taps.capture(name)
            run_taps(model, taps, part)
            for index, name in enumerate(names):
                found = taps.captured[name].double().norm(dim=-1).cpu()
                norms[index] += [found[i, first : len(row)] for i, row in enumerate(part)]
    means = {layer: float(torch.cat(parts).mean()) for layer, parts in enumerate(norms)}
    if any(mean != mean or mean in (0.0, float("inf")) for mean in means.values()):
        raise ValueError(f"the mean norms are {means}, expected more than one token, all finite")
    return means
