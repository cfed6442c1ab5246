"""What candidates are judged on: a text, or prompts with answers, none of them trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.batches import batches
from lenswright.measuring.forcing import continuation_ids
from lenswright.measuring.probes import text_rows
from lenswright.prompting.prompt_files import fields, read_rows
from lenswright.prompting.prompts import Prompt

if TYPE_CHECKING:
    from lenswright.model import Model

Source = Any  # a path, texts, (prompt, answer) pairs or mappings, or a function of the model
TABLES = (".jsonl", ".json", ".csv")


@dataclass
class HeldOut:
    """Rows of token ids, and how many tokens of each are given and not judged.

    Called with a model: the mean loss in nats of all tokens that are judged.
    """

    rows: list[list[int]]
    skip: list[int]
    batch_size: int = 64

    @classmethod
    def of(cls, model: Model, source: Source, batch_size: int = 64) -> HeldOut:
        """Tokenise a held-out set.

        Args:
            model: whose tokenizer it is.
            source: texts, (prompt, answer) pairs, {"prompt": ..., "answer": ...} mappings, a file
                of such (.jsonl, .json, .csv), or a plain text file, of which the first 8,192 tokens
                count. Of prompts only the answers are judged.

        Raises:
            FileNotFoundError: no such file.
            ValueError: nothing to judge, rows of another kind, a row of one token.
        """
        given = source
        if isinstance(source, str | Path):
            path = Path(source)
            if path.suffix.lower() not in TABLES:
                rows = text_rows(model, path)
                return cls(rows, [0] * len(rows), batch_size)
            given = [row for _, row in read_rows(path, True)]
        made = cls([], [], batch_size)
        for index, one in enumerate(given):
            made._add(model, one, f"held_out[{index}]")
        if not made.rows:
            raise ValueError("held_out is empty, expected texts, or prompts with answers")
        return made

    def _add(self, model: Model, one: Any, place: str) -> None:
        if isinstance(one, str):
            row, skip = model.tokenizer.encode(one), 0
        else:
            if isinstance(one, Sequence):
                one = dict(zip(("prompt", "answer"), one, strict=True))
            text, answer, _ = fields(one, place)
            if answer is None:
                raise ValueError(f"{place} has no answer, which is what would be judged")
            prompt = model.prompt_tokens([text])[0]
            row = prompt + continuation_ids(model, Prompt(text), answer)
            skip = len(prompt)
        if len(row) < 2:
            raise ValueError(f"{place} has {len(row)} tokens, expected at least 2")
        self.rows.append(row)
        self.skip.append(skip)

    @property
    def tokens(self) -> int:
        """How many tokens are judged."""
        return sum(len(r) - max(1, s) for r, s in zip(self.rows, self.skip, strict=True))

    def batches(self, model: Model) -> Any:
        """(rows, their losses [batch, pos - 1], NaN where not judged), batch by batch."""
        for part in batches(len(self.rows), self.batch_size):
            losses = model(self.rows[part], return_type="loss", loss_per_token=True)
            places = torch.arange(losses.shape[1], device=losses.device)
            first = torch.tensor(self.skip[part], device=losses.device)[:, None] - 1
            yield part, losses.masked_fill(places < first, float("nan"))

    def losses(self, model: Model) -> list[float]:
        """The mean loss of each row, nats."""
        found: list[float] = []
        with torch.no_grad():
            for _, losses in self.batches(model):
                found += losses.double().nanmean(1).tolist()
        return found

    def __call__(self, model: Model) -> float:
        total = 0.0
        with torch.no_grad():
            for _, losses in self.batches(model):
                total += float(losses.double().nansum())
        return total / self.tokens

    def backward(self, model: Model) -> float:
        """The loss, and its gradients added to those of the model's tensors that ask for them."""
        total = 0.0
        for _, losses in self.batches(model):
            loss = torch.nansum(losses) / self.tokens
            loss.backward()
            total += float(loss.detach())
        return total


Judge = Callable[["Model"], float]


def judge_of(model: Model, source: Source, batch_size: int = 64) -> Judge:
    """The source itself where it is a function of a model, else a `HeldOut`."""
    return source if callable(source) else HeldOut.of(model, source, batch_size)
