"""Teacher forcing: log-probabilities of continuations, in as few rows and logits as they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lenswright.tapped import run_taps, unembed

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model
    from lenswright.prompting.prompts import Prompt
    from lenswright.tokens import Tokenizer

Continuation = str | Sequence[int]

LOGITS = 1 << 25  # at most so many logits at a time
TABLE = 1 << 20  # of these, in float64, so many that they stay in the cache

Pair = tuple[int, int]  # (line, variant)


@dataclass(frozen=True)
class Read:
    """Where one continuation of one prompt is read: its tokens are predicted from `start` on."""

    prompt: int
    continuation: int
    start: int
    targets: list[int]


@dataclass
class Line:
    """One row of ids, and what is read in it."""

    tokens: list[int]
    reads: list[Read] = field(default_factory=list)

    @property
    def prompt(self) -> int:
        """How many of its tokens are the prompt."""
        return self.reads[0].start + 1


def continuation_ids(model: Model, prompt: Prompt, continuation: Continuation) -> list[int]:
    """Token ids of what follows a prompt: as its text is tokenised there, or ids as they are.

    Where the text and the prompt's last token would become one (a template that ends in a word), it
    is tokenised by itself, without the space that some tokenizers put before every text.

    Raises:
        ValueError: it has no tokens.
    """
    if not isinstance(continuation, str):
        ids = [int(token) for token in continuation]
    else:
        tokenizer = model.tokenizer
        if tokenizer.chat_template is None:
            before, whole = (tokenizer.encode(prompt.text + more) for more in ("", continuation))
        else:
            text = tokenizer.render_chat([{"role": "user", "content": prompt.text}])
            before, whole = (tokenizer.encode_verbatim(text + more) for more in ("", continuation))
        joined = whole[: len(before)] != before
        ids = apart(tokenizer, before, continuation) if joined else whole[len(before) :]
    if not ids:
        raise ValueError(f"continuation {continuation!r} has no tokens, expected at least one")
    return ids


def apart(tokenizer: Tokenizer, before: list[int], continuation: str) -> list[int]:
    """Token ids of a text that would become one with what stands before it, by itself."""
    alone = tokenizer.encode_verbatim(continuation)
    expected = tokenizer.decode(before) + continuation
    for ids in (alone, tokenizer.encode_verbatim(continuation.removeprefix(" "))):
        if tokenizer.decode([*before, *ids]) == expected:
            return ids
    return alone  # its words are not told apart by spaces


class Forced:
    """The rows that give the log-probabilities of every continuation of some prompts.

    A continuation's last token is never fed, and continuations that begin alike share a row.
    """

    def __init__(self, lines: Sequence[Line], counts: Sequence[int]) -> None:
        self.lines = sorted(lines, key=lambda line: len(line.tokens))
        self.counts = list(counts)

    @classmethod
    def of(
        cls,
        model: Model,
        prompts: Sequence[Prompt],
        continuations: Callable[[Prompt], Sequence[Sequence[int]]],
    ) -> Forced:
        """The rows for prompts and what may follow each."""
        lines, counts = [], []
        rows = model.prompt_tokens([prompt.text for prompt in prompts])
        for index, (prompt, tokens) in enumerate(zip(prompts, rows, strict=True)):
            wanted = [list(ids) for ids in continuations(prompt)]
            lines += _lines(index, tokens, wanted)
            counts.append(len(wanted))
        return cls(lines, counts)

    def pairs(self, variants: int) -> list[Pair]:
        """Every line with every variant, line by line."""
        return [(line, variant) for line in range(len(self.lines)) for variant in range(variants)]

    def empty(self, variants: int) -> list[list[torch.Tensor]]:
        """Room for the results: [prompt][continuation] -> [variants, tokens] float64."""
        sizes: dict[Pair, int] = {}
        for line in self.lines:
            for read in line.reads:
                sizes[read.prompt, read.continuation] = len(read.targets)
        return [
            [torch.full((variants, sizes[p, c]), torch.nan, dtype=torch.float64) for c in range(n)]
            for p, n in enumerate(self.counts)
        ]


def _lines(prompt: int, tokens: list[int], wanted: list[list[int]]) -> list[Line]:
    lines: list[Line] = []
    # Longest first: a row then serves every continuation that it begins with.
    for index in sorted(range(len(wanted)), key=lambda i: -len(wanted[i])):
        fed = tokens + wanted[index][:-1]
        line = next((one for one in lines if one.tokens[: len(fed)] == fed), None)
        if line is None:
            line = Line(fed)
            lines.append(line)
        line.reads.append(Read(prompt, index, len(tokens) - 1, wanted[index]))
    return lines


def last_point(model: Model) -> str:
    """The residual behind the last block."""
    return f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"


def final_residual(
    model: Model,
    taps: _core.Taps,
    rows: Sequence[Sequence[int]],
    start_at_layer: int = 0,
    residual: torch.Tensor | None = None,
) -> torch.Tensor:
    """The residual behind the last block [batch, pos, d_model] of a run with these taps."""
    taps.capture(last_point(model))
    run_taps(model, taps, rows, start_at_layer=start_at_layer, residual=residual)
    return taps.captured[last_point(model)]


def log_probs(model: Model, residuals: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Log-probabilities [rows, d_vocab] float64 of what follows final residuals [n, d_model].

    Unembedded many at a time, given a few rows at a time: which they are, and their table.
    """
    size = max(1, TABLE // model.cfg.d_vocab)
    for part in chunks(len(residuals), model.cfg.d_vocab):
        logits = unembed(model, residuals[part])
        for start in range(0, len(logits), size):
            rows = logits[start : start + size]
            first = part.start + start
            yield slice(first, first + len(rows)), torch.log_softmax(rows.double(), -1)


def chunks(n: int, d_vocab: int) -> list[slice]:
    """Slices of n rows of logits that stay within memory."""
    size = max(1, LOGITS // d_vocab)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def read_into(
    model: Model,
    plan: Forced,
    pairs: Sequence[Pair],
    residual: torch.Tensor,
    results: list[list[torch.Tensor]],
) -> None:
    """Read a run's continuations from its final residual, a row a pair, into the results."""
    found = [
        (row, read.start + step, target, read, step, variant)
        for row, (line, variant) in enumerate(pairs)
        for read in plan.lines[line].reads
        for step, target in enumerate(read.targets)
    ]
    rows = torch.tensor([f[0] for f in found], device=residual.device)
    places = torch.tensor([f[1] for f in found], device=residual.device)
    targets = torch.tensor([f[2] for f in found], device=residual.device)
    values: list[float] = []
    for part, table in log_probs(model, residual[rows, places]):
        values += table.gather(1, targets[part, None])[:, 0].tolist()
    for value, (_, _, _, read, step, variant) in zip(values, found, strict=True):
        results[read.prompt][read.continuation][variant, step] = value


def forced_log_probs(
    model: Model,
    plan: Forced,
    variants: int,
    taps_of: Callable[[list[list[int]], list[int], list[int]], _core.Taps],
    batch_size: int,
    step: Callable[[int], None] | None = None,
) -> list[list[torch.Tensor]]:
    """Log-probabilities [prompt][continuation] -> [variants, tokens] float64.

    Args:
        variants: how many ways each row is run.
        taps_of: taps for a batch, given its rows, and the variant and prompt length of each.
        batch_size: rows a run.
        step: told how many rows were run.
    """
    results = plan.empty(variants)
    pairs = plan.pairs(variants)
    for start in range(0, len(pairs), batch_size):
        part = pairs[start : start + batch_size]
        rows = [plan.lines[line].tokens for line, _ in part]
        prompts = [plan.lines[line].prompt for line, _ in part]
        taps = taps_of(rows, [variant for _, variant in part], prompts)
        residual = final_residual(model, taps, rows)
        read_into(model, plan, part, residual, results)
        if step is not None:
            step(len(part))
    return results
