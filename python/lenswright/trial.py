"""Many edits tried at once: rows of one batch that carry an edit each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from lenswright.arguments import check_names
from lenswright.editing.stacking import stack
from lenswright.inputs import Rows
from lenswright.measuring.forcing import Forced, forced_log_probs
from lenswright.measuring.responses import batches
from lenswright.progress import Progress
from lenswright.prompting.prompt_sets import Prompt, PromptSet, need_role
from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.editing.edit import Edit
    from lenswright.generating.generation import Generated
    from lenswright.model import Model
    from lenswright.selecting.scores import Score

Reads = Callable[[torch.Tensor], torch.Tensor]  # of logits [rows, d_vocab]: [rows, ...]

_WHAT = "expected 'logits', 'texts', a function of logits [rows, d_vocab] or a score"
_FIXED = ("x", "return_type", "stream", "return_logits", "names_filter")


@dataclass(repr=False)
class Trial:
    """What many edits make of prompts; the first axis of everything is the edits, in their order.

    names: of the edits. prompts: the token ids run. logits: [edits, prompts, d_vocab] behind each
    prompt. values: [edits, prompts, ...] of a function of the logits, or float64 of a score.
    tokens: new ids [edit][prompt]. What was not asked for is None.
    """

    model: Model = field(repr=False)
    names: list[str]
    prompts: list[list[int]]
    logits: torch.Tensor | None = None
    values: torch.Tensor | None = None
    tokens: list[list[list[int]]] | None = None
    _said: list[list[tuple[Generated, int]]] = field(default_factory=list)

    @cached_property
    def texts(self) -> list[list[str]]:
        """The generated texts [edit][prompt], without special tokens, up to a stop text.

        Raises:
            ValueError: none were generated.
        """
        if self.tokens is None:
            raise ValueError("no texts were generated; expected model.trial(..., what='texts')")
        return [[made.texts[row] for made, row in each] for each in self._said]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def __getitem__(self, edit: str | int) -> Any:
        """What one edit made: its texts, values or logits.

        Raises:
            KeyError, IndexError: there is no such edit.
        """
        if isinstance(edit, str) and edit not in self._index:
            raise KeyError(f"edit is {edit!r}, expected one of {self.names}")
        index = self._index[edit] if isinstance(edit, str) else edit
        if not -len(self.names) <= index < len(self.names):
            raise IndexError(f"edit is {index}, expected 0 to {len(self.names) - 1}")
        if self.tokens is not None:
            return self.texts[index]
        of = self.logits if self.values is None else self.values
        assert of is not None
        return of[index]

    def __repr__(self) -> str:
        made = "texts" if self.tokens is not None else "logits" if self.values is None else "values"
        return f"Trial({len(self.names)} edits, {len(self.prompts)} prompts: {made})"


def trial(
    model: Model,
    edits: Any,
    prompts: Any,
    what: Any = "logits",
    *,
    batch_size: int = 64,
    progress: bool = True,
    **how: Any,
) -> Trial:
    """See `Model.trial`."""
    names, each = _named(model, edits)
    given, rows = _rows(model, prompts)
    one = _Batches(model, each, rows, batch_size, progress)
    made = Trial(model, names, rows)
    if what == "texts":
        taken = inspect.signature(model.generate).parameters
        check_names("trial()", how, [name for name in taken if name not in _FIXED])
        made._said = one.texts(how)
        made.tokens = [[own.tokens[row] for own, row in each] for each in made._said]
        return made
    if how:
        raise TypeError(f"{sorted(how)[0]} is given, which only what='texts' takes")
    if what == "logits":
        made.logits = one.logits(lambda logits: logits)
    elif hasattr(what, "continuations"):
        made.values = one.scores(_prepared(model, what, prompts), given)
    elif callable(what):
        made.values = one.logits(_checked(what))
    else:
        raise ValueError(f"what is {what!r}, {_WHAT}")
    return made


class _Batches:
    """Edits times prompts, so many rows at a time; rows of one batch differ little in length."""

    def __init__(
        self, model: Model, edits: Sequence[Edit], rows: list[list[int]], size: int, progress: bool
    ) -> None:
        self.model, self.rows, self.size, self.shown = model, rows, size, progress
        self.count = len(edits)
        self.many = stack(edits)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        self.pairs = [(edit, prompt) for prompt in order for edit in range(self.count)]
        next(batches(len(self.pairs), size))  # says what is wrong with the size

    def change(self, of: Sequence[int]) -> list[Edit]:
        # Edits of nothing have no rows.
        return [self.many.take(of)] if self.many.rows else []

    def parts(self) -> Iterator[tuple[list[tuple[int, int]], list[list[int]]]]:
        total = len(self.pairs)
        with torch.no_grad(), Progress("trial", total, "rows", self.shown) as progress:
            for part in batches(len(self.pairs), self.size):
                pairs = self.pairs[part]
                with self.model.edited(*self.change([edit for edit, _ in pairs])):
                    yield pairs, [self.rows[prompt] for _, prompt in pairs]
                progress.step(len(pairs))

    def logits(self, read: Reads) -> torch.Tensor:
        result: torch.Tensor | None = None
        for pairs, rows in self.parts():
            found = read(self.model(rows, logits_at="last")[:, 0])
            if result is None:
                shape = (self.count, len(self.rows), *found.shape[1:])
                result = torch.empty(shape, dtype=found.dtype, device=found.device)
            edits, prompts = zip(*pairs, strict=True)
            result[list(edits), list(prompts)] = found
        assert result is not None
        return result

    def texts(self, how: dict[str, Any]) -> list[list[tuple[Generated, int]]]:
        said: list[list[Any]] = [[None] * len(self.rows) for _ in range(self.count)]
        seeds = self._seeds(how.pop("seed", None))
        for pairs, rows in self.parts():
            own = [seeds[prompt] for _, prompt in pairs]
            made = self.model.generate(rows, seed=own, return_type="both", **how)
            for row, (edit, prompt) in enumerate(pairs):
                said[edit][prompt] = made, row
        return said

    def _seeds(self, seed: int | Sequence[int] | None) -> list[int]:
        # As generation of the prompts alone has them: that of row 0, then the next numbers.
        count = len(self.rows)
        if isinstance(seed, Sequence):
            if len(seed) != count:
                raise ValueError(f"seed has {len(seed)} numbers, expected one for {count} prompts")
            return list(seed)
        return [(seed or 0) + i for i in range(count)]

    def scores(self, score: Score, prompts: Sequence[Prompt]) -> torch.Tensor:
        def taps(rows: list[list[int]], edits: list[int], told: list[int]) -> _core.Taps:
            with self.model.edited(*self.change(edits)):
                return new_taps(self.model, rows, told)

        plan = Forced.of(self.model, prompts, score.continuations)
        total = self.count * len(plan.lines)
        with torch.no_grad(), Progress("trial", total, "rows", self.shown) as progress:
            found = forced_log_probs(self.model, plan, self.count, taps, self.size, progress.step)
        pairs = zip(prompts, found, strict=True)
        return torch.stack([score.combine(prompt, parts) for prompt, parts in pairs], 1)


def _named(model: Model, edits: Any) -> tuple[list[str], list[Edit]]:
    from lenswright.editing.edit import Edit

    if isinstance(edits, Edit):
        edits = [edits.row(i) for i in range(edits.rows)] if edits.rows else [edits]
    mapped = isinstance(edits, Mapping)
    given = list(edits.values()) if mapped else list(edits)
    names = [str(name) for name in edits] if mapped else [str(i) for i in range(len(given))]
    if not given:
        raise ValueError("edits is empty, expected at least one")
    return names, [_tried(model, *pair) for pair in zip(names, given, strict=True)]


def _tried(model: Model, name: str, edit: Any) -> Edit:
    from lenswright.editing.edit import Edit
    from lenswright.edits import from_factors

    if edit is None:
        return from_factors(model, {})
    if not isinstance(edit, Edit):
        raise TypeError(f"edit '{name}' is {type(edit).__name__}, expected an Edit or None")
    if edit.rows:
        raise ValueError(
            f"edit '{name}' is {edit.rows} edits, one for each row of a batch; "
            "expected edit.row(i) of it, or it alone"
        )
    try:
        edit.try_on(model.core.taps())
    except ValueError as error:
        raise ValueError(f"edit '{name}' cannot be tried as a row: {error}") from None
    return edit


def _rows(model: Model, prompts: Any) -> tuple[list[Prompt], list[list[int]]]:
    if isinstance(prompts, PromptSet):
        prompts = list(need_role(prompts, "select", "trying edits"))
    if _are_prompts(prompts):
        return list(prompts), model.prompt_tokens([prompt.text for prompt in prompts])
    return [], Rows.of(model, prompts, None).lists()


def _are_prompts(given: Any) -> bool:
    return isinstance(given, Sequence) and bool(given) and isinstance(given[0], Prompt)


def _prepared(model: Model, score: Score, prompts: Any) -> Score:
    if isinstance(prompts, PromptSet):
        return score.prepare(model, prompts)
    if not _are_prompts(prompts):
        raise TypeError("what is a score, which needs prompts with their answers: expected a "
                        "PromptSet such as splits.select, or a list of Prompt")  # fmt: skip
    return score


def _checked(read: Reads) -> Reads:
    def checked(logits: torch.Tensor) -> torch.Tensor:
        found = read(logits)
        if not isinstance(found, torch.Tensor) or found.shape[:1] != logits.shape[:1]:
            shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValueError(
                f"what({list(logits.shape)}) gave {shape}, expected a tensor [{len(logits)}, ...]"
            )
        return found

    return checked
