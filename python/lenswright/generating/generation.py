"""Continuing texts: the Python side of generation."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.generating.decoding_cache import DecodingCache
from lenswright.generating.generation_config import Settings
from lenswright.generating.text_stream import TextStream
from lenswright.generating.thinking import Reasoned, mark_ids, split_reasoning
from lenswright.hooks import HookSpec, resolve_hooks
from lenswright.inputs import Rows
from lenswright.names import NameFilter
from lenswright.reading import Reading

if TYPE_CHECKING:
    from lenswright.cache import ActivationCache
    from lenswright.model import Model
    from lenswright.steering import Steering

PHASES = ("both", "prefill", "decode")
STOP, LENGTH = "stop", "length"


@dataclass(frozen=True)
class Chunk:
    """What one step adds to one row.

    text: what has become certain, without special tokens: "" while a character or what may be the
        beginning of a stop text is not complete. A row's chunks together are its text.
    end: None while the row goes on; "stop" (an id or text that ends it) or "length".
    """

    row: int
    ids: list[int]
    text: str
    end: str | None = None


@dataclass(repr=False)
class Generated:
    """Continuations of the rows of a batch.

    tokens: new ids of each row, those of a stop included. ends: "stop" or "length" of each row.
    logits: [batch, step, d_vocab] as the model gave them, NaN behind a row's end; None where they
        were not asked for. cache: activations of prompt and continuation by absolute position,
        where a `names_filter` was given; the last token of a row is never read.
    """

    model: Model = field(repr=False)
    prompts: list[list[int]]
    tokens: list[list[int]]
    ends: list[str]
    stop_texts: list[str] = field(default_factory=list)
    logits: torch.Tensor | None = None
    cache: ActivationCache | None = None

    @cached_property
    def texts(self) -> list[str]:
        """The text of each row, without special tokens, up to a stop text."""
        return [self._shown(row) for row in self.tokens]

    @property
    def reasoned(self) -> list[Reasoned]:
        """Reasoning and answer of each row, told apart by the chat template's own marks."""
        tokenizer = self.model.tokenizer
        keep = mark_ids(tokenizer)
        texts = [self._shown(row, keep) for row in self.tokens]
        return [split_reasoning(text, tokenizer) for text in texts]

    def _shown(self, row: list[int], keep: Collection[int] = ()) -> str:
        text = self.model.tokenizer.decode(row, True, keep)
        ends = [end for stop in self.stop_texts if (end := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text

    def __repr__(self) -> str:
        said = sum(map(len, self.tokens))
        return f"Generated({len(self.tokens)} rows, {said} tokens, ended by {self.ends})"


class Decoding:
    """One generation under way: yields the chunks of a step at a time. See `Model.generate`."""

    def __init__(
        self,
        model: Model,
        rows: Rows,
        how: Settings,
        *,
        fwd_hooks: Sequence[HookSpec],
        hooks_on: str,
        names_filter: NameFilter,
        return_logits: bool,
        use_cache: bool,
        padding_side: str,
        texts: bool,
        steering: Steering | None = None,
    ) -> None:
        self.model, self.how, self.prompts = model, how, rows.lists()
        names = [] if names_filter is None else model.names.resolve(names_filter)
        hooks = resolve_hooks(model.names, fwd_hooks, "fwd_hooks")
        _check_phases(hooks_on, how, use_cache, bool(hooks))
        steerings = [*model._steerings, *([] if steering is None else [steering])]
        if steerings:
            from lenswright.steering.value import checked

            checked(model, steerings)
        reading = Reading(
            self.prompts, torch.tensor([*map(len, self.prompts)]), _positions_of(weakref.ref(self))
        )
        # With a cache prompts are read before the first word is said, and never again.
        readings = (reading, replace(reading, behind=use_cache))
        self._taps = [_core_taps(model, rows, steerings, one, bool(names)) for one in readings]
        for taps, phase in zip(self._taps, PHASES[1:], strict=True):
            for hook in hooks if hooks_on in ("both", phase) else ():
                clone = bool(names) or model._shared(hook.point)
                taps.write(hook.point.name, hook.forward(clone))
            for name in names:
                taps.capture(name)
        alike = not hooks and not model._hooks and not any(edit.rows for edit in model._edits)
        alike = alike and all(one.alike for one in steerings)
        tokens, lengths = rows.padded(padding_side)
        self._native = _core.Generation(
            model.core, self._taps[0], self._taps[1],
            tokens.to(model.core.device), lengths, padding_side, how.max_new_tokens,
            how.stop_ids, use_cache, alike, how.sampling, how.seeds,
        )  # fmt: skip
        count = len(self.prompts)
        self._cache = DecodingCache(model, names, [*map(len, self.prompts)]) if names else None
        self._logits: list[torch.Tensor] | None = [] if return_logits else None
        self._texts = [
            TextStream(model.tokenizer, how.stop_texts) for _ in range(count if texts else 0)
        ]
        self.ends: list[str | None] = [None] * count
        self.steps = 0

    def __iter__(self) -> Iterator[list[Chunk]]:
        decoding = False
        while not self._native.done:
            ids = self._native.step()
            if self._cache is not None:
                taps = self._taps[1 if decoding else 0]
                self._cache.add(taps.captured, self._native.positions)
            if not ids:  # a prefix that all rows share
                continue
            decoding = True
            self.steps += 1
            if self._logits is not None:
                self._logits.append(self._native.logits)
            self._warn_of_length()
            yield [self._chunk(row, new) for row, new in enumerate(ids) if new >= 0]

    def _chunk(self, row: int, new: int) -> Chunk:
        if new in self.how.stop_ids:
            self.ends[row] = STOP
        text = ""
        if self._texts:
            stream = self._texts[row]
            text = stream.push(new)
            if stream.stopped:
                self.ends[row] = STOP
                self._native.end(row)
        if self.ends[row] is None and self.steps == self.how.max_new_tokens:
            self.ends[row] = LENGTH
        if self._texts and self.ends[row] is not None:
            text += self._texts[row].finish()
            if self._texts[row].stopped:
                self.ends[row] = STOP
        return Chunk(row, [new], text, self.ends[row])

    def _warn_of_length(self) -> None:
        # Learned positions end there, and the core says so before it begins.
        n_ctx, longest = self.model.cfg.n_ctx, max(map(len, self.prompts))
        read = longest + self.steps - 1
        if 0 < n_ctx < read and (self.steps == 1 or read == n_ctx + 1):
            warnings.warn(
                f"the text is longer now than the {n_ctx} tokens (n_ctx) the model was made for",
                stacklevel=5,
            )

    def result(self) -> Generated:
        """What was said, once it has ended."""
        tokens = self._native.said
        logits = None
        if self._logits is not None:
            logits = torch.stack(self._logits, 1)
            for row, said in enumerate(tokens):
                logits[row, len(said) :] = torch.nan
        cache = None
        if self._cache is not None:
            read = [len(p) + len(said) - 1 for p, said in zip(self.prompts, tokens, strict=True)]
            cache = self._cache.finish(read)
        ends = [end or LENGTH for end in self.ends]
        return Generated(self.model, self.prompts, tokens, ends, self.how.stop_texts, logits, cache)


def _core_taps(
    model: Model, rows: Rows, steerings: Sequence[Steering], reading: Reading, clone: bool
) -> _core.Taps:
    taps = model.core.taps()
    model._add_edits(taps)
    for steering in steerings:
        steering.steer(model, taps, reading)
    model._add_hooks(taps, rows, clone)
    return taps


def _positions_of(decoding: weakref.ref[Decoding]) -> Callable[[], torch.Tensor]:
    # Taps that held the generation they belong to would keep both alive for ever.
    def now() -> torch.Tensor:
        live = decoding()
        assert live is not None
        return live._native.positions

    return now


def _check_phases(hooks_on: str, how: Settings, use_cache: bool, hooks: bool) -> None:
    if hooks_on not in PHASES:
        raise ValueError(f"hooks_on is {hooks_on!r}, expected one of {list(PHASES)}")
    if hooks_on == "both":
        return
    if not hooks:
        raise ValueError(f"hooks_on is '{hooks_on}', but there are no fwd_hooks")
    if not use_cache:
        raise ValueError(f"hooks_on is '{hooks_on}', which needs use_cache=True")
    if hooks_on == "decode" and how.max_new_tokens == 1:
        raise ValueError("hooks_on is 'decode', which begins with the second of max_new_tokens 1")
