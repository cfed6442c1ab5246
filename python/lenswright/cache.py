"""What a run left: tensors by point, and the decompositions of the residual stream they allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright.decompose import Decomposition
from lenswright.nearest import did_you_mean

if TYPE_CHECKING:
    from lenswright.model import Model


class ActivationCache(Decomposition):
    """The tensors of a run by the names of their points, in the order of the run.

    A captured tensor never changes afterwards. Names that share a tensor share its storage.

    Args:
        tensors: by full name.
        model: the model that ran.
        lengths: real tokens of each row of a ragged batch; [] where every place is real; None where
            positions were cut.
        padding_side: where shorter rows were filled up.
    """

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        model: Model,
        lengths: Sequence[int] | None = (),
        padding_side: str = "right",
        has_batch_dim: bool = True,
    ) -> None:
        self.tensors = dict(tensors)
        self.model = model
        self.lengths = None if lengths is None else list(lengths)
        self.padding_side = padding_side
        self.has_batch_dim = has_batch_dim

    def _name(self, key: str | tuple[Any, ...]) -> str:
        if isinstance(key, tuple):
            return self.model.names.short(*key)
        if key in self.tensors:
            return key
        try:
            return (
                self.model.names.resolve(key)[0] if "hook_" in key else self.model.names.short(key)
            )
        except KeyError:
            return key

    def __getitem__(self, key: str | tuple[Any, ...]) -> torch.Tensor:
        """A tensor by full name, or by short form: ("resid_post", 3), ("scale", 2, "ln1"), "embed".

        Raises:
            KeyError: the run did not keep it; says whether the model has such a point.
        """
        name = self._name(key)
        if name in self.tensors:
            return self.tensors[name]
        if name in self.model.names.all:
            raise KeyError(
                f"'{name}' is a point of this model, but not in this cache; "
                "name it in names_filter (expanded points must be named)"
            )

        hint = did_you_mean(name, self.tensors)
        raise KeyError(f"'{name}' is not in this cache of {len(self)} tensors{hint}")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (str, tuple)) and self._name(key) in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def keys(self) -> Any:
        """Names, in the order of the run."""
        return self.tensors.keys()

    def values(self) -> Any:
        """Tensors, in the order of the run."""
        return self.tensors.values()

    def items(self) -> Any:
        """Names and tensors, in the order of the run."""
        return self.tensors.items()

    def __repr__(self) -> str:
        size = sum(t.numel() * t.element_size() for t in self._distinct()) / 1e6
        names = list(self.tensors)
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        return f"ActivationCache({len(self)} tensors, {size:.1f} MB: {shown})"

    def _distinct(self) -> list[torch.Tensor]:
        return list({t.data_ptr(): t for t in self.tensors.values()}.values())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name}</code></td><td>{list(t.shape)}</td><td>{t.dtype}</td></tr>"
            for name, t in self.items()
        )
        head = repr(self).split(":")[0].replace("<", "&lt;")
        return f"<details><summary>{head})</summary><table>{rows}</table></details>"

    def _with(self, tensors: Mapping[str, torch.Tensor], has_batch_dim: bool) -> ActivationCache:
        return ActivationCache(tensors, self.model, self.lengths, self.padding_side, has_batch_dim)

    def remove_batch_dim(self) -> ActivationCache:
        """The same without the batch dimension.

        Raises:
            ValueError: the batch is not one row.
        """
        if not self.has_batch_dim:
            return self
        for name, tensor in self.items():
            if tensor.shape[0] != 1:
                raise ValueError(
                    f"remove_batch_dim: '{name}' has a batch of {tensor.shape[0]}, expected 1"
                )
        return self._with({name: t[0] for name, t in self.items()}, False)

    def to(self, device: str | torch.device) -> ActivationCache:
        """The same on another device."""
        return self._with({name: t.to(device) for name, t in self.items()}, self.has_batch_dim)

    def apply_slice_to_batch_dim(self, rows: int | slice | Sequence[int]) -> ActivationCache:
        """The same for some rows of the batch."""
        if not self.has_batch_dim:
            raise ValueError("the cache has no batch dimension")
        index = [rows] if isinstance(rows, int) else rows
        cache = self._with({name: t[index] for name, t in self.items()}, True)
        if self.lengths:
            picked = torch.tensor(self.lengths)[index]
            cache.lengths = picked.tolist()
        return cache

    def stack_activation(
        self, name: str, layer: int = -1, sublayer_type: str | None = None
    ) -> torch.Tensor:
        """One point of every layer before `layer` (-1: all), [layers, ...]."""
        count = self.model.cfg.n_layers if layer == -1 else layer
        keys = [(name, i, sublayer_type) if sublayer_type else (name, i) for i in range(count)]
        return torch.stack([self[key] for key in keys])
