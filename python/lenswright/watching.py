"""Watching a run: caches of activations, with gradients where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch

from lenswright import _core
from lenswright.cache import ActivationCache
from lenswright.config import Config
from lenswright.inputs import PosSlice, Rows
from lenswright.names import NameFilter
from lenswright.reading import Reading
from lenswright.running import Input, ReturnType, RunMethods, Side

if TYPE_CHECKING:
    from lenswright.model import Model

_BY_QUERY = ("hook_pattern", "hook_attn_scores", "hook_sink")  # their positions come third


class WatchMethods(RunMethods):
    """Runs that keep what stood at the points."""

    cfg: Config

    def capture(
        self,
        x: Input,
        points: NameFilter,
        pos_slice: PosSlice = None,
        device: str | torch.device | None = None,
        padding_side: Side = "right",
    ) -> ActivationCache:
        """The tensors of some points, without logits: the run stops after the deepest of them."""
        _, cache = self.run_with_cache(
            x,
            points,
            pos_slice=pos_slice,
            device=device,
            padding_side=padding_side,
            return_type=None,
        )
        return cache

    def run_with_cache(
        self,
        x: Input,
        names_filter: NameFilter = None,
        stop_at_layer: int | None = None,
        pos_slice: PosSlice = None,
        device: str | torch.device | None = None,
        incl_bwd: bool = False,
        remove_batch_dim: bool = False,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        padding_side: Side = "right",
    ) -> tuple[Any, ActivationCache]:
        """Run the model and keep the tensors of some points.

        Args:
            names_filter: None (every point but expanded ones), a name, a glob, a short form
                ("resid_post", or ("resid_post", 3)), a list of these, or a function name -> bool.
            stop_at_layer: end before this block; the first result is then the residual there.
            pos_slice: positions to keep (of queries, in scores and patterns).
            device: where to keep them.
            incl_bwd: also keep gradients of the loss, as name + "_grad"; needs return_type="loss".
            remove_batch_dim: drop the batch dimension of a batch of one.
            return_type, loss_per_token, padding_side: as in calling the model.

        Raises:
            KeyError, ValueError: a name is unknown, matches nothing, or lies behind stop_at_layer.
        """
        names = self.names.resolve(names_filter)
        if names_filter is None and stop_at_layer is not None:
            names = self._before(names, stop_at_layer)
        rows = Rows.of(cast("Model", self), x, None)
        taps = self.core.taps()
        self._add_edits(taps)
        self._add_steerings(taps, Reading.of(rows, padding_side))
        self._add_hooks(taps, rows, clone=True)
        positions = rows.positions(pos_slice)
        if incl_bwd:
            return self._run_backward(
                taps, rows, names, positions, device, remove_batch_dim, return_type, padding_side
            )
        for name in names:
            taps.capture(
                name,
                positions,
                None if device is None else torch.device(device),
                not torch.is_grad_enabled(),
            )
        result = self._finish(
            rows,
            self._run(taps, rows, return_type, padding_side, None, stop_at_layer),
            return_type,
            loss_per_token,
            padding_side,
            stop_at_layer,
        )
        return result, self._cache(
            taps.captured, names, rows, padding_side, pos_slice, remove_batch_dim
        )

    def _before(self, names: list[str], stop_at_layer: int) -> list[str]:
        n = self.cfg.n_layers
        stop = stop_at_layer + n if stop_at_layer < 0 else stop_at_layer
        behind = ("ln_final.", "unembed.")
        return [
            name
            for name in names
            if not name.startswith(behind)
            and not (name.startswith("blocks.") and int(name.split(".")[1]) >= stop)
        ]

    def _cache(
        self,
        captured: dict[str, torch.Tensor],
        names: list[str],
        rows: Rows,
        padding_side: Side,
        pos_slice: Any,
        remove_batch_dim: bool,
    ) -> ActivationCache:
        ordered = {name: captured[name] for name in names}
        lengths = rows.lengths if pos_slice is None else None
        cache = ActivationCache(ordered, cast("Model", self), lengths, padding_side)
        return cache.remove_batch_dim() if remove_batch_dim else cache

    def _run_backward(
        self,
        taps: _core.Taps,
        rows: Rows,
        names: list[str],
        positions: torch.Tensor | None,
        device: str | torch.device | None,
        remove_batch_dim: bool,
        return_type: ReturnType,
        padding_side: Side,
    ) -> tuple[torch.Tensor, ActivationCache]:
        if return_type != "loss":
            raise ValueError(f"incl_bwd needs return_type='loss', but it is {return_type!r}")
        kept: dict[str, torch.Tensor] = {}

        def keeper(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def tap(tensor: torch.Tensor) -> torch.Tensor:
                # A residual is several points: a view of its own keeps the gradients apart.
                kept[name] = tensor.view_as(tensor) if tensor.is_floating_point() else tensor
                if kept[name].requires_grad:
                    kept[name].retain_grad()
                return kept[name]

            return tap

        self._require_gradients(taps, rows)
        for name in names:
            taps.write(name, keeper(name))
        with torch.enable_grad():
            loss = self._finish(
                rows, self._run(taps, rows, "loss", padding_side), "loss", False, padding_side, None
            )
            loss.backward()
        everything: dict[str, torch.Tensor] = {}
        for name in names:
            for key, value in ((name, kept[name].detach()), (name + "_grad", kept[name].grad)):
                if value is not None:
                    everything[key] = self._kept(value, name, positions, device)
        lengths = rows.lengths if positions is None else None
        cache = ActivationCache(everything, cast("Model", self), lengths, padding_side)
        return loss.detach(), cache.remove_batch_dim() if remove_batch_dim else cache

    @staticmethod
    def _kept(
        value: torch.Tensor,
        name: str,
        positions: torch.Tensor | None,
        device: str | torch.device | None,
    ) -> torch.Tensor:
        if positions is not None:
            dim = 2 if name.endswith(_BY_QUERY) else 1
            value = value.index_select(dim, positions)
        return value if device is None else value.to(device)
