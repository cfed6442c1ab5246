"""Further measures of a model: functions of it alone, such as its loss on a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lenswright.batches import batches

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.prompting.prompts import PromptSet

Probe = Callable[["Model"], float]


def rows_loss(rows: Sequence[Sequence[int]], batch_size: int, skip: Sequence[int] = ()) -> Probe:
    """Mean next-token loss of rows of ids in nats, each token counted once.

    Args:
        skip: how many tokens of each row are given and not judged.
    """

    def probe(model: Model) -> float:
        total, count = 0.0, 0
        for part in batches(len(rows), batch_size):
            with torch.no_grad():
                losses = model(list(rows[part]), return_type="loss", loss_per_token=True)
            for i, row in enumerate(rows[part]):
                first = max(0, skip[part.start + i] - 1) if skip else 0
                kept = losses[i, first : len(row) - 1].double()
                total += float(kept.sum())
                count += kept.numel()
        return total / count

    return probe


def text_loss(
    model: Model, path: str | Path, tokens: int = 8192, window: int = 256, batch_size: int = 8
) -> Probe:
    """The loss on the first `tokens` tokens of a plain text, in windows of `window`.

    Raises:
        FileNotFoundError, ValueError: as `text_rows` does.
    """
    return rows_loss(text_rows(model, path, tokens, window), batch_size)


def text_rows(
    model: Model, path: str | Path, tokens: int = 8192, window: int = 256
) -> list[list[int]]:
    """The first `tokens` tokens of a plain text, in windows of `window`.

    Every window begins with the tokenizer's BOS where it has one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the text is shorter than two tokens or not UTF-8; `tokens` below 2, `window`
            below 1.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"text file {path} does not exist")
    if tokens < 2 or window < 1:
        raise ValueError(f"tokens is {tokens} and window {window}, expected at least 2 and 1")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"text file {path} is not UTF-8 text (byte {error.start}), expected plain text"
        ) from error
    ids = model.tokenizer.encode_verbatim(text[: 16 * tokens])[:tokens]
    if len(ids) < 2:
        raise ValueError(f"text file {path} has {len(ids)} tokens, expected at least 2")
    size = min(window, model.cfg.n_ctx - 1)
    bos = [] if model.tokenizer.bos_id is None else [model.tokenizer.bos_id]
    rows = [bos + ids[i : i + size] for i in range(0, len(ids), size)]
    return [row for row in rows if len(row) > 1]


def own_text_loss(
    model: Model, prompts: PromptSet, count: int, batch_size: int, max_new_tokens: int = 64
) -> Probe:
    """The loss on the unedited model's own greedy continuations of some prompts of each class.

    Args:
        count: of prompts, half of them of each class.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}, expected at least 1")
    texts = [
        p.text for kind in (prompts.positive, prompts.negative) for p in kind[: -(-count // 2)]
    ]
    given = model.prompt_tokens(texts)
    new = [
        row
        for part in batches(len(given), batch_size)
        for row in model.generate(given[part], max_new_tokens, return_type="tokens")
    ]
    rows = [old + more for old, more in zip(given, new, strict=True)]
    return rows_loss(rows, batch_size, skip=[len(row) for row in given])
