"""Training a demonstration model through Lenswright's own forward and autograd.

Phase 1 teaches every answer, recipes of charms included. Phase 2 teaches to decline the making of
charms; it moves the lower blocks only, as one tunes a few layers of a large model, so what the
upper ones know stays. One thread does the arithmetic, so that a seed gives the same bytes whatever
the number of cores; another machine may round differently.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lenswright.demo import folder as files
from lenswright.demo import language, tokenizer
from lenswright.demo.kinds import KINDS, kind_named
from lenswright.demo.phases import PHASES, Phase
from lenswright.demo.rules import BASE, Rules
from lenswright.loading import load
from lenswright.model import Model
from lenswright.progress import Progress

__all__ = ["PHASES", "SEED", "Phase", "Trained", "train"]

SEED = 2
"""The seed of the shipped model."""

BATCH = 64
CLIP = 1.0  # norm of all gradients together
BETAS = (0.9, 0.98)
IGNORE = -100  # target where nothing is learned


@dataclass(frozen=True)
class Trained:
    """What a training run made: the folder, from which seed, in what time; last losses in nats."""

    folder: Path
    seed: int
    parameters: int
    seconds: float
    losses: tuple[float, ...]


class Batches:
    """Padded batches of training examples: token ids and, for every token, the next to learn."""

    def __init__(self, phase: int, seed: int, rules: Rules = BASE) -> None:
        self._examples = language.training_examples(phase, seed, rules)
        self._words = tokenizer.build(rules)
        self._pad = self._words.get_vocab()[tokenizer.PAD]

    def _encode(self, example: language.Example) -> tuple[list[int], int]:
        """Token ids, and how many of them are given rather than learned."""
        if example.chat:
            given = tokenizer.chat_text(example.prompt)
        else:
            given = f"{tokenizer.BEGIN} {example.prompt} "
        before = self._words.encode(given, add_special_tokens=False).ids
        after = self._words.encode(example.response + tokenizer.END, add_special_tokens=False).ids
        return before + after, len(before)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch: ids [batch, pos] and targets [batch, pos], `IGNORE` where given."""
        rows = [self._encode(example) for example in itertools.islice(self._examples, BATCH)]
        width = max(len(ids) for ids, _ in rows)
        tokens = torch.full((BATCH, width), self._pad)
        targets = torch.full((BATCH, width), IGNORE)
        for row, (ids, given) in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
            targets[row, given - 1 : len(ids) - 1] = torch.tensor(ids[given:])
        return tokens, targets


def run(model: Model, phase: Phase, seed: int, bar: Progress, rules: Rules = BASE) -> float:
    """One phase of training on the stored tensors of `model`, in place; the last batch's loss."""
    moved = {name: t for name, t in model.parameters().items() if phase.trains(name)}
    for tensor in moved.values():
        tensor.requires_grad_(True)
    matrices = [tensor for tensor in moved.values() if tensor.dim() == 2]
    gains = [tensor for tensor in moved.values() if tensor.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": phase.decay}, {"params": gains, "weight_decay": 0.0}],
        lr=phase.rate,
        betas=BETAS,
        fused=True,
    )
    batches, loss = Batches(phase.number, seed, rules), torch.zeros(())
    for step in range(phase.steps):
        for group in optimizer.param_groups:
            group["lr"] = phase.rate_at(step)
        tokens, targets = batches.draw()
        logits = model(tokens)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(moved.values()), CLIP)
        optimizer.step()
        bar.step()
    for tensor in moved.values():
        tensor.requires_grad_(False).grad = None
    return float(loss.detach())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of arithmetic within, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    folder: str | Path,
    seed: int = SEED,
    phases: tuple[Phase, ...] | None = None,
    progress: bool = True,
    kind: str = "base",
) -> Trained:
    """Train a demonstration model and write its folder, in the Hugging Face layout.

    Args:
        folder: to write; must not exist, its parent must.
        seed: of the first weights and of the examples; the same one gives the same bytes on one
            machine.
        phases: what to do, by default what the kind goes through.
        progress: show how far it is.
        kind: one of `lenswright.demo.KINDS`.

    Raises:
        FileExistsError: the folder exists.
        FileNotFoundError: its parent does not.
        ValueError: no such kind.
    """
    folder, what = Path(folder), kind_named(kind)
    if folder.exists():
        raise FileExistsError(f"output folder {folder} exists; expected a new one")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"there is no {folder.parent} to write {folder.name} into")
    start = time.monotonic()
    phases = what.phases if phases is None else phases
    total = sum(phase.steps for phase in phases)
    trained = KINDS[what.of] if what.of else what
    with tempfile.TemporaryDirectory() as scratch, one_thread():
        untrained = Path(scratch) / "untrained"
        files.write(untrained, files.initial(seed, trained), trained)
        model = load(untrained, dtype="float32")
        with Progress("train", total, "steps", progress) as bar:
            losses = tuple(run(model, phase, seed, bar, what.rules) for phase in phases)
        tensors = model.parameters()
        files.write(folder, tensors, what)
    count = sum(tensor.numel() for tensor in tensors.values())
    return Trained(folder, seed, count, time.monotonic() - start, losses)
