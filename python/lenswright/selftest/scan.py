"""The knob scan: the loss on a text as the model is read, and under each plausible misreading.

A wrongly read model is still a consistent transformer; what betrays it is that another reading of
the same bytes predicts plain text better.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.selftest.texts import Row, Text, texts_for

if TYPE_CHECKING:
    from lenswright.model import Model

MARGIN = 0.02
"""Nats a token by which a misreading must be better to be believed."""
SURE = 3.0
"""And by how many standard errors of the paired differences."""
CLEARLY = (0.1, 6.0)
"""Nats and standard errors by which a misreading is worse when no more text is read under it."""
PREDICTED = 0.85
"""A text counts as predicted below this part of a guesser's loss, ln(d_vocab)."""
SAME = {"float64": 1e-9, "float32": 1e-4}
"""Differences of a token's loss that are rounding; 0.02 in 16-bit types."""


@dataclass
class Knob:
    """One misreading: its loss beside that of the model as read, on the same tokens."""

    knob: str
    value: str
    name: str
    differences: list[torch.Tensor] = field(default_factory=list, repr=False)
    read: float = 0.0
    same: float = 1e-4

    @property
    def all(self) -> torch.Tensor:
        """Loss misread minus loss as read, token by token."""
        return torch.cat(self.differences)

    @property
    def difference(self) -> float:
        """Nats a token that the misreading loses."""
        return float(self.all.mean())

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return float(self.all.std() / math.sqrt(len(self.all)))

    @property
    def loss(self) -> float:
        """The loss misread."""
        return self.read + self.difference

    @property
    def verdict(self) -> str:
        """BETTER (the model is misread), worse (it is not), too close to tell, or not visible."""
        if float(self.all.abs().max()) <= self.same:
            return "not visible"
        if self.difference <= -MARGIN and self.difference <= -SURE * self.error:
            return "BETTER"
        sure = self.difference > max(2 * self.error, 10 * self.same)
        return "worse" if sure or math.isnan(self.difference) else "too close"

    @property
    def decided(self) -> bool:
        """Whether more text could not change the verdict."""
        nats, errors = CLEARLY
        d = self.difference
        return math.isnan(d) or (d > nats and d > errors * self.error)

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "knob": self.knob, "value": self.value, "loss_read": self.read, "loss": self.loss,
            "difference": self.difference, "standard_error": self.error,
            "tokens": len(self.all), "verdict": self.verdict,
        }  # fmt: skip


@dataclass
class Scan:
    """What the scan found. `loss` is that of the model as read, on the whole text."""

    text: str = ""
    tokens: int = 0
    loss: float = math.nan
    guess: float = math.nan
    knobs: list[Knob] = field(default_factory=list)
    silent: str = ""  # why nothing could be judged

    def better(self) -> list[Knob]:
        """Misreadings that predict the text better than the reading, the best first."""
        found = [] if self.silent else [k for k in self.knobs if k.verdict == "BETTER"]
        return sorted(found, key=lambda knob: knob.loss)

    def problems(self) -> list[str]:
        """One line, where the model is misread."""
        found = self.better()
        if not found:
            return []
        first = found[0]
        more = f" (also better: {', '.join(k.name for k in found[1:])})" if found[1:] else ""
        return [
            f"knob '{first.knob}' is misread: with '{first.value}' the loss on the text "
            f"'{self.text}' is {first.loss:.2f} nats, as read {first.read:.2f}{more}"
        ]


def reread(model: Model, misreadings: list[str], dtype: str = "") -> Model:
    """The same tensors misread on purpose, or computed in another type; nothing is copied."""
    from lenswright.model import Model as Made

    with warnings.catch_warnings():  # unknown keys were named when the model was loaded
        warnings.simplefilter("ignore")
        return Made(_core.reread(model.core, misreadings, dtype), model.folder)


def _losses(model: Model, rows: list[Row]) -> torch.Tensor:
    found = []
    with torch.no_grad():
        logits = model([row.ids for row in rows])
    for row, own in zip(rows, logits, strict=True):
        predicted = own[row.first - 1 : len(row.ids) - 1]
        predicted = predicted if predicted.dtype == torch.float64 else predicted.float()
        targets = torch.tensor(row.ids[row.first :], device=predicted.device)
        losses = torch.nn.functional.cross_entropy(predicted, targets, reduction="none")
        found.append(losses.double().cpu())
    return torch.cat(found)


def most_tokens(model: Model) -> int:
    """How much of a text is read: less of it by models whose forwards take longer."""
    size = model.core.size
    limits = ((3e7, 2500), (3e8, 768), (2e9, 384))
    tokens = next((tokens for most, tokens in limits if size <= most), 192)
    return tokens if model.core.device.type == "cpu" else 2500


def _best_text(model: Model, texts: list[Text]) -> tuple[Text, list[torch.Tensor]]:
    """The text whose first step the model predicts best, and its losses there as read."""
    tried = [(text, [_losses(model, text.steps[0])]) for text in texts]
    return min(tried, key=lambda pair: float(pair[1][0].mean().nan_to_num(math.inf)))


def scan(
    model: Model, text: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> Scan:
    """Run a text as read and under every misreading that applies to this model.

    text: to read instead of the bundled ones, one paragraph a line; best one that the model was
    trained for. progress: called with what is being read. Misreadings that are much worse are given
    up after the first tokens.
    """
    texts = texts_for(model, most_tokens(model), text)
    if not texts:
        return Scan(silent="the checkpoint has no tokenizer that can write a bundled text")
    chosen, base = _best_text(model, texts)
    base += [_losses(model, rows) for rows in chosen.steps[1:]]
    same = SAME.get(str(model.core.dtype).removeprefix("torch."), 0.02)
    knobs = [Knob(k, v, name, same=same) for k, v, name in _core.misreadings(model.core)]
    for done, knob in enumerate(knobs):
        progress(f"{knob.name} ({done + 1} of {len(knobs)})")
        other = reread(model, [knob.name])
        for at, rows in enumerate(chosen.steps):
            knob.differences.append(_losses(other, rows) - base[at])
            if knob.decided:
                break
        knob.read = float(torch.cat(base[: len(knob.differences)]).mean())
    found = Scan(
        text=chosen.name, tokens=chosen.tokens, loss=float(torch.cat(base).mean()),
        guess=math.log(model.cfg.d_vocab), knobs=knobs,
    )  # fmt: skip
    best = min([found.loss, *(k.loss for k in knobs if not math.isnan(k.loss))])
    if not best < PREDICTED * found.guess:
        found.silent = (
            f"the model does not predict the text '{found.text}': {found.loss:.2f} nats a token, "
            f"guessing gives {found.guess:.2f}; it is untrained, trained for other texts, or "
            "misread in several ways"
        )
    return found
