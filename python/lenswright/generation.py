"""Continuing texts: the Python side of greedy generation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.inputs import Rows

if TYPE_CHECKING:
    from lenswright.model import Model


def stop_ids(model: Model) -> list[int]:
    """Ids that end a text: generation_config.json's, config.json's or the tokenizer's."""
    for name in ("generation_config.json", "config.json"):
        path = model.folder / name
        found = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
        if found is not None:
            return [int(i) for i in found] if isinstance(found, list) else [int(found)]
    if (model.folder / "tokenizer.json").is_file() and model.tokenizer.eos_id is not None:
        return [model.tokenizer.eos_id]
    return []


def _without_bos(model: Model, row: list[int]) -> str:
    # Not every tokenizer.json marks its BOS as special, and the text given had none.
    bos = model.tokenizer.bos_id
    return model.tokenizer.decode(row[1:] if row[:1] == [bos] else row, skip_special_tokens=True)


def generate(
    model: Model,
    x: Any,
    max_new_tokens: int,
    temperature: float,
    stop_at_eos: bool,
    return_type: str,
    use_cache: bool,
    padding_side: str,
) -> Any:
    """See `Model.generate`."""
    if temperature != 0.0:
        raise ValueError(f"temperature is {temperature}, expected 0.0 (greedy)")
    if return_type not in ("input", "text", "tokens"):
        raise ValueError(f"return_type is {return_type!r}, expected 'input', 'text' or 'tokens'")
    rows = Rows.of(model, x, None)
    tokens, lengths = rows.padded(padding_side)
    taps = model.core.taps()
    model._add_edits(taps)
    model._add_hooks(taps, rows, clone=False)
    ids = stop_ids(model) if stop_at_eos else []
    with torch.no_grad():
        new = _core.generate(
            model.core,
            taps,
            tokens.to(model.cfg.device),
            lengths,
            padding_side,
            max_new_tokens,
            ids,
            use_cache,
        )
    if return_type == "tokens":
        return new
    if return_type == "text":
        texts = [model.tokenizer.decode(row, skip_special_tokens=True) for row in new]
        return texts[0] if isinstance(x, str) else texts
    whole = [old + more for old, more in zip(rows.lists(), new, strict=True)]
    if rows.text:
        texts = [_without_bos(model, row) for row in whole]
        return texts[0] if isinstance(x, str) else texts
    if len({len(row) for row in whole}) == 1:
        return torch.tensor(whole, dtype=torch.int64)
    return whole
