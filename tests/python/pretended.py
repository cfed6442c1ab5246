"""A device that is none: what runs on it computes on the CPU, and is refused what a GPU refuses.

Without a GPU at hand, a tensor left on the wrong device, a read through a CPU pointer or a kernel
chosen for the CPU would be found by users only. Here torch's device without memory, "meta", stands
for one: its tensors hold CPU tensors, and every operation that ATen dispatches, from C++ as from
Python, is computed on those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")

# Operations that take tensors of two devices: copies, and indexing by indices on the CPU.
CROSSING = {"copy_", "_copy_from", "index", "index_put_", "_index_put_impl_", "_unsafe_index"}


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return compute(func, args, kwargs or {})


class Dispatched(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return compute(func, args, kwargs or {})


class Undispatched(TorchFunctionMode):
    """What torch does without dispatching it: `torch.tensor` is moved after, `tolist` before."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu") == DEVICE:
            del kwargs["device"]
            return func(*args, **kwargs).to(DEVICE)
        if func is torch.Tensor.tolist:
            return args[0].cpu().tolist()
        return func(*args, **kwargs)


@contextmanager
def pretended_device() -> Iterator[str]:
    """While it is entered, tensors may be made on and moved to the device it gives."""
    with Dispatched(), Undispatched():
        yield str(DEVICE)


def compute(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """One operation, on the tensors inside; errors where a device would meet another's tensor."""
    given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    name = func._overloadpacket.__name__
    if name == "_fused_sdp_choice":
        return 0  # the one by plain operations: fused ones are each some device's own
    asked = kwargs.get("device")
    there = (
        torch.device(asked).type == DEVICE.type
        if asked is not None
        else any(isinstance(x, Elsewhere) for x in given)
    )
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    elif name not in CROSSING:
        _refuse_mixed(func, given)
    homes = {id(x.inner): x for x in given if isinstance(x, Elsewhere)}

    def unwrapped(x: Any) -> Any:
        return x.inner if isinstance(x, Elsewhere) else x

    def wrapped(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or not there:
            return x
        return homes.get(id(x)) if id(x) in homes else Elsewhere(x)

    return tree_map(wrapped, func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs)))


def _refuse_mixed(func: Callable[..., Any], given: list[torch.Tensor]) -> None:
    away = [x for x in given if isinstance(x, Elsewhere)]
    here = [x for x in given if not isinstance(x, Elsewhere) and x.dim() > 0]
    if away and here:
        raise RuntimeError(
            f"{func}: a tensor {list(here[0].shape)} lies on the CPU, another "
            f"{list(away[0].shape)} on {DEVICE}"
        )
