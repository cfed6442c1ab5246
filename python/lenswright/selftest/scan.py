"""The knob scan: the loss on a text as the model is read, and under each plausible misreading.

A wrongly read model is still a consistent transformer; what betrays it is that another reading of
the same bytes predicts plain text better.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lenswright import _core
from lenswright.selftest.knob import Knob
from lenswright.selftest.texts import Row, Text, texts_for

if TYPE_CHECKING:
    from lenswright.model import Model

PREDICTED = 0.85
"""A text counts as predicted below this part of a guesser's loss, ln(d_vocab)."""
TEMPERATURES = (0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 1.8, 2.1, 2.5)
"""Of the model as read, beside what sharpens or flattens all of its predictions."""
LIKE_TEMPERATURES = {"logit softcap", "logit scale", "final norm"}
"""Knobs that do."""
BEYOND = 16
"""How many tokens of a row have to stand beyond what a layer sees."""
LOGITS = 150_000_000
"""Most logits of one row."""
SAME = {"float64": 1e-9, "float32": 1e-4}
"""Differences of a token's loss that are rounding; 0.02 in 16-bit types."""


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
        return sorted(found, key=lambda knob: knob.difference)

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


def _losses(model: Model, rows: list[Row], temperature: float = 1.0) -> torch.Tensor:
    found = []
    with torch.no_grad():
        logits = model([row.ids for row in rows])
    for row, own in zip(rows, logits, strict=True):
        predicted = own[row.first - 1 : len(row.ids) - 1] / temperature
        predicted = predicted if predicted.dtype == torch.float64 else predicted.float()
        targets = torch.tensor(row.ids[row.first :], device=predicted.device)
        losses = torch.nn.functional.cross_entropy(predicted, targets, reduction="none")
        found.append(losses.double().cpu())
    return torch.cat(found)


def _affordable(model: Model, limits: tuple[tuple[float, int], ...], least: int) -> int:
    """Of tokens, by the size of a model: larger ones take longer. On other devices the most."""
    size = model.core.size
    tokens = next((tokens for most, tokens in limits if size <= most), least)
    return tokens if model.core.device.type == "cpu" else limits[0][1]


def most_tokens(model: Model) -> int:
    """How much of a text is read: less of it by models whose forwards take longer."""
    return _affordable(model, ((3e7, 2500), (3e8, 768), (2e9, 384)), 192)


def longest_row(model: Model) -> int:
    """How long a row may be that shows how far layers see."""
    most = _affordable(model, ((3e7, 2500), (3e8, 1536), (2e9, 768)), 256)
    return min(most, LOGITS // model.cfg.d_vocab)


def _best_text(model: Model, texts: list[Text]) -> tuple[Text, list[torch.Tensor]]:
    """The text whose first step the model predicts best, and its losses there as read."""
    tried = [(text, [_losses(model, text.steps[0])]) for text in texts]
    return min(tried, key=lambda pair: float(pair[1][0].mean().nan_to_num(math.inf)))


def _sight(model: Model, other: Model) -> int:
    """Up to how many tokens two readings see the same because all is in sight; 0: they never do."""
    both = zip(model.spec["layers"], other.spec["layers"], strict=True)
    differing = [
        [own[key] for own in pair if own[key] > 0]
        for pair in both
        for key in ("window", "chunk")
        if pair[0][key] != pair[1][key]
    ]
    return min((min(sizes) for sizes in differing), default=0)


class _Reader:
    """A text's losses as the model is read, each part of it read once, and under misreadings."""

    def __init__(self, model: Model, text: Text, first: list[torch.Tensor]) -> None:
        self._model = model
        self._windows = any(layer["window"] > 0 for layer in model.spec["layers"])
        self._steps = text.steps
        self.base = first + [_losses(model, rows) for rows in text.steps[1:]]
        self._long = text.long_row(longest_row(model))
        self._long_base: torch.Tensor | None = None

    def scan(self, knob: Knob) -> None:
        """Read on under a misreading until its verdict is clear."""
        other = reread(self._model, [knob.name])
        knob.sight = _sight(self._model, other)
        if knob.sight > 0:
            self._beyond_sight(knob, other)
            return
        for at, rows in enumerate(self._steps):
            knob.differences.append(_losses(other, rows) - self.base[at])
            if knob.decided:
                break
        knob.read = float(torch.cat(self.base[: len(knob.differences)]).mean())

    def _beyond_sight(self, knob: Knob, other: Model) -> None:
        """Only what stands further on in a row than layers see can tell; often in a long one."""
        rows = self._long or [row for step in self._steps for row in step]
        knob.row = max(len(row.ids) for row in rows)
        if not any(len(row.ids) >= knob.sight + BEYOND for row in rows):
            return
        if self._long and self._long_base is None:
            self._long_base = _losses(self._model, rows)
        base = torch.cat(self.base) if self._long_base is None else self._long_base
        at = [torch.arange(row.first, len(row.ids)) for row in rows]
        told = torch.cat(at) > knob.sight
        knob.differences = [(_losses(other, rows) - base)[told]]
        knob.read = float(base[told].mean())

    def excuse(self, knob: Knob) -> None:
        """Forgive what a model that is read right may be better with too.

        Over- and undersure ones are, with what does no more than a temperature; models that were
        trained on short rows are, with a window of that length.
        """
        if knob.knob == "window" and knob.sight > 0 and not self._windows:
            knob.excuse = "as in short rows"
        if knob.knob not in LIKE_TEMPERATURES:
            return
        cooled = [
            torch.cat([_losses(self._model, rows, t) for rows in self._steps]) for t in TEMPERATURES
        ]
        best = min(cooled, key=lambda losses: float(losses.mean()))
        gained = best - torch.cat(self.base)
        control = Knob(knob.knob, knob.value, knob.name, [knob.all - gained[: len(knob.all)]])
        if not control.clearly_better:
            knob.excuse = "as good as a temperature"


def _stated(knob: Knob) -> bool:
    return " (" in knob.value  # behind it stands the key of config.json


def scan(
    model: Model, text: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> Scan:
    """Run a text as read and under every misreading that applies to this model.

    text: to read instead of the bundled ones, one paragraph a line; best one that the model was
    trained for. progress: called with what is being read. Misreadings that are much worse, or the
    same, are given up after the first tokens; how far layers see is looked for in a long row.
    """
    texts = texts_for(model, most_tokens(model), text)
    if not texts:
        return Scan(silent="the checkpoint has no tokenizer that can write a bundled text")
    chosen, first = _best_text(model, texts)
    reader = _Reader(model, chosen, first)
    same = SAME.get(str(model.core.dtype).removeprefix("torch."), 0.02)
    knobs = [Knob(k, v, name, same=same) for k, v, name in _core.misreadings(model.core)]
    for done, knob in enumerate(knobs):
        progress(f"{knob.name} ({done + 1} of {len(knobs)})")
        reader.scan(knob)
        if knob.clearly_better and not _stated(knob):
            reader.excuse(knob)
    found = Scan(
        text=chosen.name, tokens=chosen.tokens, loss=float(torch.cat(reader.base).mean()),
        guess=math.log(model.cfg.d_vocab), knobs=knobs,
    )  # fmt: skip
    read = [knob.loss for knob in knobs if knob.differences and not math.isnan(knob.loss)]
    best = min([found.loss, *read])
    if not best < PREDICTED * found.guess:
        found.silent = (
            f"the model does not predict the text '{found.text}': {found.loss:.2f} nats a token, "
            f"guessing gives {found.guess:.2f}; it is untrained, trained for other texts, or "
            "misread in several ways"
        )
    return found
