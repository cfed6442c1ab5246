"""When a steering acts at a token: only where another direction's component is high, or low."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lenswright.steering.aim import Aim, aim_of

UNITS = ("absolute", "token")


@dataclass(frozen=True, eq=False)
class Condition:
    """A threshold of a token's component along a direction, at the point that is steered.

    Made by `lw.steering.when`.
    """

    aim: Aim
    threshold: float
    unit: str
    below: bool
    source: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        what = "cosine" if self.unit == "token" else "component"
        return f"when the {what} is {'below' if self.below else 'above'} {self.threshold:g}"


def when(
    direction: object, threshold: float, unit: str = "absolute", below: bool = False
) -> Condition:
    """A condition for one token at a time: its component along a direction exceeds a threshold.

    The component is that of what stands at the steered point, before this steering changes it.

    Args:
        direction: a tensor [d_model], a `Choice`, `Directions` with one direction, {layer: tensor}.
        threshold: the component ⟨h, u⟩ must be above it, u being the direction at length 1.
        unit: "absolute", numbers of the residual stream; "token", parts of the token's own norm:
            the cosine of h and u.
        below: act where the component is below the threshold instead.

    Raises:
        ValueError: an unknown unit; a threshold that is not finite, or no cosine between -1 and 1;
            a direction that is zero, not finite or of another shape.
        TypeError: `direction` is none of these.

    >>> str(lw.steering.when(torch.ones(64), 2.5))
    'when the component is above 2.5'

    Source: activations steered on a condition, Lee et al. 2024 (arXiv:2409.05907), token by token.
    """
    aim, _, source = aim_of(direction, "the direction of when")
    if unit not in UNITS:
        raise ValueError(f"unit of when is {unit!r}, expected one of {list(UNITS)}")
    value = float(threshold)
    if not math.isfinite(value):
        raise ValueError(f"threshold is {threshold}, expected a finite number")
    if unit == "token" and not -1 < value < 1:
        raise ValueError(f"threshold is {value:g}, expected a cosine between -1 and 1")
    return Condition(aim, value, unit, bool(below), source)
