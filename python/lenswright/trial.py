"""Many edits tried at once: rows of one batch that carry an edit each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from lenswright.arguments import check_names
from lenswright.inputs import Rows
from lenswright.prompting.prompt_sets import Prompt, PromptSet, need_role, refuse_overlap
from lenswright.trial_batches import Reads, TrialBatches

if TYPE_CHECKING:
    from lenswright.editing.edit import Edit
    from lenswright.generating.generation import Generated
    from lenswright.model import Model
    from lenswright.selecting.scores import Score

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
    if isinstance(prompts, PromptSet):
        for edit in each:
            refuse_overlap(prompts, edit.provenance, "trying edits")
    one = TrialBatches(model, each, rows, batch_size, progress)
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
