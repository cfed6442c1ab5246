"""What writers read, as second moments: the keys that an edit is conditioned on, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.batches import batches
from lenswright.collecting.positions import PositionRule, resolve_positions
from lenswright.inputs import Rows
from lenswright.measuring.forcing import continuation_ids

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompt_sets import PromptSet

Factors = dict[str, dict[str, torch.Tensor]]


@dataclass
class Moments:
    """Count, sum [in] and sum of outer products [in, in] of keys, float64."""

    n: int
    total: torch.Tensor
    gram: torch.Tensor

    @staticmethod
    def empty(width: int) -> Moments:
        """Of no keys."""
        kind = torch.float64
        return Moments(0, torch.zeros(width, dtype=kind), torch.zeros(width, width, dtype=kind))

    def add(self, keys: torch.Tensor) -> None:
        """Take in keys [n, in]; their products are summed in their own type, batch by batch."""
        wide = keys.to(torch.promote_types(keys.dtype, torch.float32))
        self.n += len(keys)
        self.total += wide.double().sum(0).cpu()
        self.gram += (wide.t() @ wide).double().cpu()

    @property
    def mean(self) -> torch.Tensor:
        """Mean key, [in]."""
        return self.total / self.n

    @property
    def second(self) -> torch.Tensor:
        """E[k kᵀ], [in, in]."""
        return self.gram / self.n


@dataclass
class Mean:
    """Count and sum of keys [in], float64."""

    n: int
    total: torch.Tensor

    def add(self, keys: torch.Tensor) -> None:
        """Take in keys [n, in]."""
        self.n += len(keys)
        self.total += keys.double().sum(0).cpu()

    @property
    def mean(self) -> torch.Tensor:
        """Mean key, [in]."""
        return self.total / self.n


@dataclass
class Keys:
    """What one writer reads: at chosen positions of positives, everywhere in negatives, and at
    the same chosen positions of negatives."""

    positive: Moments
    negative: Moments
    alike: Mean

    @staticmethod
    def empty(width: int) -> Keys:
        """Of no keys."""
        none = torch.zeros(width, dtype=torch.float64)
        return Keys(Moments.empty(width), Moments.empty(width), Mean(0, none))


@dataclass
class _Batch:
    rows: list[list[int]]
    positive: torch.Tensor  # [batch, pos] bool: the chosen positions of positive prompts
    negative: torch.Tensor  # every position of negative ones
    alike: torch.Tensor  # the chosen positions of negative ones
    residual: torch.Tensor | None = None
    keys: list[tuple[str, torch.Tensor]] = field(default_factory=list)


class KeyRun:
    """Prompts on their way through a model, one block at a time, each with its edit in force.

    Every block runs three times whatever the depth: the residual before it is kept.
    """

    def __init__(
        self, model: Model, prompts: PromptSet, positions: PositionRule, batch_size: int
    ) -> None:
        self.model = model
        every = list(prompts)
        tokens = model.prompt_tokens([prompt.text for prompt in every])
        where = resolve_positions(positions, every, tokens, model)
        items = []
        for index, (prompt, row) in enumerate(zip(every, tokens, strict=True)):
            places = [place for place, _ in where.places(len(row), index)]
            positive = index < len(prompts.positive)
            answer = prompt.answer if not positive else None
            more = continuation_ids(model, prompt, answer) if answer else []
            items.append((row + more, places, positive))
        items.sort(key=lambda item: len(item[0]))
        self.batches = [_batch(items[part]) for part in batches(len(items), batch_size)]

    def begin(self) -> None:
        """Back to the first block."""
        for batch in self.batches:
            batch.residual = None

    def collect(
        self, layer: int, writers: Sequence[dict[str, Any]], edit: Factors
    ) -> dict[str, Keys]:
        """What writers of a layer read, with factors of others of the layer in force."""
        found: dict[str, Keys] = {}
        for batch in self.batches:
            taps = self._taps(edit)
            for writer in writers:
                _watch(taps, writer, batch)
            indices = f"blocks.{layer}.mlp.hook_expert_indices"
            if any(writer["kind"] == "expert" for writer in writers):
                taps.capture(indices)
            self._run(batch, taps, layer)
            chosen = taps.captured.get(indices)
            sites = {writer["name"]: writer for writer in writers}
            for name, keys in batch.keys:
                _take(found, sites[name], keys, batch, chosen)
            batch.keys.clear()
        return found

    def advance(self, layer: int, edit: Factors) -> None:
        """Run a block with its factors in force and keep the residual behind it."""
        for batch in self.batches:
            batch.residual = self._run(batch, self._taps(edit), layer)

    def _taps(self, edit: Factors) -> _core.Taps:
        taps = self.model.core.taps()
        self.model._add_edits(taps)
        if edit:
            _core.try_edit(taps, _core.make_edit(self.model.core, edit, "null"))
        return taps

    def _run(self, batch: _Batch, taps: _core.Taps, layer: int) -> torch.Tensor:
        core = self.model.core
        tokens, lengths = Rows.of(self.model, batch.rows, None).padded("right")
        _, residual = core.run(
            taps, tokens.to(core.device), lengths, "right", "none",
            layer, layer + 1, batch.residual if layer else None,
        )  # fmt: skip
        assert residual is not None
        return residual


def _batch(items: Sequence[tuple[list[int], list[int], bool]]) -> _Batch:
    width = max(len(row) for row, _, _ in items)
    masks = torch.zeros(3, len(items), width, dtype=torch.bool)
    for i, (row, places, positive) in enumerate(items):
        masks[0 if positive else 2, i, places] = True
        masks[1, i, : len(row)] = not positive
    return _Batch([row for row, _, _ in items], *masks)


def _watch(taps: _core.Taps, writer: dict[str, Any], batch: _Batch) -> None:
    name = writer["name"]

    def keep(keys: torch.Tensor) -> None:
        batch.keys.append((name, keys.detach()))

    taps.watch(writer["kind"], writer["layer"], writer["expert"], keep)


def _take(
    found: dict[str, Keys],
    writer: dict[str, Any],
    keys: torch.Tensor,
    batch: _Batch,
    chosen: torch.Tensor | None,
) -> None:
    width = keys.shape[-1]
    masks = [batch.positive, batch.negative, batch.alike]
    if writer["expert"] >= 0:
        # Its tokens are those that chose it, in the order of the batch.
        assert chosen is not None
        each = (chosen.flatten() == writer["expert"]).nonzero().flatten() // chosen.shape[-1]
        masks = [mask.flatten()[each.cpu()] for mask in masks]
    own = found.setdefault(writer["name"], Keys.empty(width))
    parts: tuple[Moments | Mean, ...] = (own.positive, own.negative, own.alike)
    for part, mask in zip(parts, masks, strict=True):
        part.add(keys[mask.to(keys.device)])
