"""Python functions as taps: what a hook is given, and what it may give back."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.names import NameFilter, PointNames

HookFunction = Callable[..., "torch.Tensor | None"]
HookSpec = tuple["NameFilter", HookFunction]


@dataclass
class HookPoint:
    """Where a hook fires: its name, and a dictionary that lives as long as the hook."""

    name: str
    ctx: dict[str, Any] = field(default_factory=dict)

    def layer(self) -> int:
        """The block this point lies in.

        Raises:
            ValueError: it lies in none.
        """
        found = re.match(r"blocks\.(\d+)\.", self.name)
        if found is None:
            raise ValueError(f"hook '{self.name}' lies in no block")
        return int(found.group(1))


@dataclass
class Hook:
    """One function at one point, forward or backward."""

    point: HookPoint
    function: HookFunction
    by_keyword: bool = True  # fn(tensor, hook=point), as TransformerLens calls it

    def checked(self, given: torch.Tensor, result: torch.Tensor | None) -> torch.Tensor:
        """What the run goes on with: the result, or what was given where it is None."""
        if result is None:
            return given
        if not isinstance(result, torch.Tensor):
            raise TypeError(
                f"hook '{self.point.name}' returned {type(result).__name__}, "
                "expected a tensor or None"
            )
        if result.shape != given.shape:
            raise ValueError(
                f"hook '{self.point.name}' returned shape {list(result.shape)}, "
                f"expected {list(given.shape)}"
            )
        if result.dtype != given.dtype or result.device != given.device:
            raise ValueError(
                f"hook '{self.point.name}' returned {result.dtype} on {result.device}, "
                f"expected {given.dtype} on {given.device}"
            )
        return result

    def call(self, tensor: torch.Tensor) -> torch.Tensor:
        """The function applied, and its result checked."""
        if self.by_keyword:
            return self.checked(tensor, self.function(tensor, hook=self.point))
        return self.checked(tensor, self.function(tensor, self.point))

    def forward(self, clone: bool) -> Callable[[torch.Tensor], torch.Tensor]:
        """The tap of a forward hook. It works on a copy where the tensor is needed elsewhere."""

        def tap(tensor: torch.Tensor) -> torch.Tensor:
            given = tensor.clone() if clone else tensor
            version = given._version
            result = self.call(given)
            # What was only looked at goes back as it came: the run then takes its usual path.
            return tensor if result is given and given._version == version else result

        return tap

    def backward(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The tap of a backward hook: the function sees the gradient and may replace it."""

        def tap(tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.requires_grad:
                raise RuntimeError(
                    f"hook '{self.point.name}' waits for a gradient, but this run keeps none; "
                    "expected a run with gradients enabled"
                )
            tensor.register_hook(self.call)
            return tensor

        return tap


def _takes_keyword(function: HookFunction) -> bool:
    # A second parameter of another name ("lambda x, h: ...") is given by position.
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # builtins without a signature
        return False
    return "hook" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def resolve_hooks(names: PointNames, specs: Sequence[HookSpec], argument: str) -> list[Hook]:
    """Hooks for [(name, glob, short form or predicate, function)].

    Raises:
        KeyError, ValueError: a name is unknown or matches nothing.
        TypeError: an entry is no pair of a name and a function.
    """
    hooks = []
    for entry in specs:
        if not (isinstance(entry, tuple) and len(entry) == 2 and callable(entry[1])):
            raise TypeError(f"{argument} has {entry!r}, expected (name or predicate, function)")
        for name in names.resolve(entry[0]):
            hooks.append(Hook(HookPoint(name), entry[1], _takes_keyword(entry[1])))
    return hooks
