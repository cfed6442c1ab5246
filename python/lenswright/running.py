"""Running a model: one call, and the functions and edits in force while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from lenswright import _core
from lenswright.hooks import Hook, HookPoint, HookSpec, resolve_hooks
from lenswright.inputs import Rows, Text
from lenswright.measuring.loss import next_token_loss
from lenswright.names import PointNames
from lenswright.reading import Reading

if TYPE_CHECKING:
    from typing_extensions import Self

    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.steering import Steering

Side = Literal["right", "left"]
ReturnType = Literal["logits", "loss", "both"] | None
Run = tuple[torch.Tensor | None, torch.Tensor | None]
Input = Text | torch.Tensor | Sequence[Sequence[int]]


class RunMethods:
    """The forward, and what stands between its blocks."""

    core: _core.Model
    names: PointNames
    _hooks: list[tuple[list[Hook], list[Hook]]]
    _edits: list[Edit]
    _steerings: list[Steering]

    def __call__(
        self,
        x: Input,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        padding_side: Side = "right",
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        logits_at: Literal["all", "last"] = "all",
    ) -> Any:
        """Run the model.

        Args:
            x: a text, texts, ids [batch, pos], lists of ids (ragged), or with `start_at_layer` a
                residual [batch, pos, d_model].
            return_type: "logits" [batch, pos, d_vocab], "loss" (mean over next tokens, nats),
                "both" or None.
            loss_per_token: the loss [batch, pos - 1] of each token, NaN in padding.
            padding_side: where shorter rows of a ragged batch are filled up. Padding reaches no
                real position; what stands in padded places has no meaning.
            start_at_layer: begin with this block; `x` is then the residual before it.
            stop_at_layer: end before this block and return the residual there; may be negative.
            logits_at: "last" unembeds the last real position of each row only.

        Raises:
            IndexError: an id beyond the vocabulary, a layer out of range.
            ValueError: an empty input, a text longer than learned positions reach.
        """
        rows = Rows.of(cast("Model", self), x, start_at_layer)
        taps = self.core.taps()
        self._add_edits(taps)
        self._add_steerings(taps, Reading.of(rows, padding_side))
        self._add_hooks(taps, rows, clone=False)
        return self._finish(
            rows,
            self._run(
                taps, rows, return_type, padding_side, start_at_layer, stop_at_layer, logits_at
            ),
            return_type,
            loss_per_token,
            padding_side,
            stop_at_layer,
        )

    def _run(
        self,
        taps: _core.Taps,
        rows: Rows,
        return_type: ReturnType,
        padding_side: Side,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        logits_at: str = "all",
    ) -> Run:
        if return_type not in ("logits", "loss", "both", None):
            raise ValueError(
                f"return_type is {return_type!r}, expected 'logits', 'loss', 'both' or None"
            )
        tokens, lengths = rows.padded(padding_side)
        return self.core.run(
            taps,
            tokens.to(self.core.device),
            lengths,
            padding_side,
            "none" if return_type is None else logits_at,
            start_at_layer or 0,
            stop_at_layer,
            rows.residual,
        )

    def _finish(
        self,
        rows: Rows,
        run: Run,
        return_type: ReturnType,
        loss_per_token: bool,
        padding_side: Side,
        stop_at_layer: int | None,
    ) -> Any:
        logits, residual = run
        if stop_at_layer is not None:
            return residual
        if return_type is None or return_type == "logits":
            return logits
        tokens, lengths = rows.padded(padding_side)
        if logits is None or logits.shape[1] != tokens.shape[1]:
            raise ValueError(f"return_type is {return_type!r}, which needs logits_at='all'")
        loss = next_token_loss(
            logits, tokens.to(logits.device), lengths, padding_side, loss_per_token
        )
        return loss if return_type == "loss" else (logits, loss)

    def run_with_hooks(
        self,
        x: Input,
        fwd_hooks: Sequence[HookSpec] = (),
        bwd_hooks: Sequence[HookSpec] = (),
        **arguments: Any,
    ) -> Any:
        """Run the model with functions at its points, for this run only.

        Args:
            x: as in calling the model; so are further arguments.
            fwd_hooks: [(name, glob, short form or predicate, fn)]; fn(tensor, hook) returns a
                tensor to go on with, or None.
            bwd_hooks: the same for gradients; call .backward() on the loss inside `model.hooks`, or
                pass return_type="loss" and call it on the result.

        Raises:
            KeyError, ValueError: a name is unknown or matches nothing; a hook gave another shape.
        """
        with self.hooks(fwd_hooks, bwd_hooks):
            return self(x, **arguments)

    @contextmanager
    def hooks(
        self, fwd_hooks: Sequence[HookSpec] = (), bwd_hooks: Sequence[HookSpec] = ()
    ) -> Iterator[Self]:
        """Functions at points for every run within; nested contexts add to one another."""
        entry = (
            resolve_hooks(self.names, fwd_hooks, "fwd_hooks"),
            resolve_hooks(self.names, bwd_hooks, "bwd_hooks"),
        )
        self._hooks.append(entry)
        try:
            yield self
        finally:
            self._hooks.remove(entry)

    def _add_hooks(self, taps: _core.Taps, rows: Rows, clone: bool) -> None:
        if any(backward for _, backward in self._hooks):
            self._require_gradients(taps, rows)
        for forward, backward in self._hooks:
            for hook in forward:
                taps.write(hook.point.name, hook.forward(clone or self._shared(hook.point)))
            for hook in backward:
                taps.write(hook.point.name, hook.backward())

    def _require_gradients(self, taps: _core.Taps, rows: Rows) -> None:
        # Weights may need no gradients, so the graph starts at the embedding or the given residual.
        if rows.residual is not None:
            if not rows.residual.requires_grad:
                rows.residual = rows.residual.detach().requires_grad_()
            return

        def start(x: torch.Tensor) -> torch.Tensor:
            return x if x.requires_grad else x.detach().requires_grad_()

        for name in ("hook_embed", "hook_pos_embed"):
            if name in self.names.default:
                taps.write(name, start)

    def _shared(self, point: HookPoint) -> bool:
        # An expanded point shows a tensor that the run goes on to use elsewhere.
        return point.name not in self.names.default

    @contextmanager
    def edited(self, *edits: Edit) -> Iterator[Self]:
        """Every run within behaves as if the edits were in the weights; no weight changes."""
        self._edits.extend(edits)
        try:
            yield self
        finally:
            del self._edits[len(self._edits) - len(edits) :]

    def _add_edits(self, taps: _core.Taps) -> None:
        for edit in self._edits:
            edit.try_on(taps)

    @contextmanager
    def steered(self, *steerings: Steering) -> Iterator[Self]:
        """Every run within is steered; hooks and captures see what a steering leaves.

        Several act in order, and so do nested contexts. A run that begins behind a steered layer,
        or stops before it, is refused, as it would be with a hook there.

        Raises:
            TypeError: one is no `Steering`.
            ValueError, IndexError, KeyError: it is made for another model; see `Steering.steer`.
        """
        from lenswright.steering.value import checked

        checked(cast("Model", self), steerings)
        self._steerings.extend(steerings)
        try:
            yield self
        finally:
            del self._steerings[len(self._steerings) - len(steerings) :]

    def _add_steerings(self, taps: _core.Taps, reading: Reading) -> None:
        for steering in self._steerings:
            steering.steer(cast("Model", self), taps, reading)
