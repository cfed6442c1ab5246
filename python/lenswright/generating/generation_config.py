"""How tokens are chosen and when a text ends: what a call asks, the checkpoint's own habits behind.

The habits are those of generation_config.json, as `transformers` writes it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright import _core

if TYPE_CHECKING:
    from lenswright.model import Model

Stop = str | int | Sequence[str | int] | None

MAX_NEW_TOKENS = 64  # where neither the call nor the checkpoint says how many

_FILTERS = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}  # name -> what does nothing
_PENALTIES = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
CHOICES = ("temperature", *_FILTERS, *_PENALTIES)  # what `settings` takes by name
_LACKING = {  # what transformers would obey and we do not -> values that do nothing
    "num_beams": (1,), "no_repeat_ngram_size": (0,), "encoder_repetition_penalty": (1.0,),
    "bad_words_ids": (), "min_length": (0,), "min_new_tokens": (0,), "suppress_tokens": (),
    "begin_suppress_tokens": (), "forced_bos_token_id": (), "forced_eos_token_id": (),
    "guidance_scale": (1, 1.0), "sequence_bias": (), "penalty_alpha": (0, 0.0),
    "exponential_decay_length_penalty": (), "watermarking_config": (),
}  # fmt: skip
_LACKING_SAMPLERS = {  # the same, where tokens are drawn
    "typical_p": (1, 1.0), "epsilon_cutoff": (0, 0.0), "eta_cutoff": (0, 0.0), "top_h": (),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything that decides which tokens come, and when no more do."""

    max_new_tokens: int
    sampling: _core.Sampling
    seeds: list[int]
    stop_ids: list[int]
    stop_texts: list[str]


def read_config(folder: Path) -> dict[str, Any]:
    """What generation_config.json says; {} where there is none.

    Raises:
        ValueError: it is no JSON object.
    """
    path = folder / "generation_config.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is a JSON {type(found).__name__}, expected an object")
    return found


def end_ids(model: Model) -> list[int]:
    """Ids that end a text: generation_config.json's, config.json's or the tokenizer's."""
    path = model.folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for found in (read_config(model.folder), config, config.get("text_config") or {}):
        ids = found.get("eos_token_id")
        if ids is not None:
            return [int(i) for i in ids] if isinstance(ids, list) else [int(ids)]
    if (model.folder / "tokenizer.json").is_file() and model.tokenizer.eos_id is not None:
        return [model.tokenizer.eos_id]
    return []


def new_tokens(
    model: Model, given: int | None, longest: int, otherwise: int = MAX_NEW_TOKENS
) -> int:
    """At most so many new tokens after a prompt: as given, the checkpoint's own, or otherwise.

    Raises:
        TypeError, ValueError: what is given is no positive whole number.
    """
    if given is None:
        config = read_config(model.folder)
        if config.get("max_new_tokens") is not None:
            return int(config["max_new_tokens"])
        if config.get("max_length") is not None:
            return max(int(config["max_length"]) - longest, 1)
        return otherwise
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise TypeError(f"max_new_tokens is {given!r}, expected a whole number")
    if given < 1:
        raise ValueError(f"max_new_tokens is {given}, expected at least 1")
    return int(given)


def settings(
    model: Model,
    rows: int,
    longest: int,
    max_new_tokens: int | None,
    chosen: dict[str, Any],
    seed: int | Sequence[int] | None,
    stop: Stop,
    stop_at_eos: bool,
) -> Settings:
    """The settings of one call; `chosen` has temperature, filters and penalties by name."""
    config = read_config(model.folder)
    numbers = _numbers(config, chosen)
    _warn_of_lacking(config, numbers["temperature"] > 0)
    ids, texts = _stops(model, stop)
    if stop_at_eos:
        ids = end_ids(model) + ids
        texts += [str(text) for text in config.get("stop_strings") or []]
    return Settings(
        new_tokens(model, max_new_tokens, longest),
        _core.Sampling(**numbers),
        _seeds(seed, rows),
        ids,
        texts,
    )


def _numbers(config: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    given = {name: _number(name, value) for name, value in chosen.items() if value is not None}
    habit = {
        name: _number(name, config[name], "generation_config.json's ")
        for name in CHOICES
        if config.get(name) is not None
    }
    temperature = given.get("temperature")
    if temperature is None:
        temperature = habit.get("temperature", 1.0) if config.get("do_sample") else 0.0
    numbers = {"temperature": float(temperature)}
    for name, nothing in (_FILTERS | _PENALTIES).items():
        drawing = temperature > 0 or name in _PENALTIES
        numbers[name] = given.get(name, habit.get(name, nothing) if drawing else nothing)
    idle = [name for name in _FILTERS if given.get(name, _FILTERS[name]) != _FILTERS[name]]
    if temperature == 0 and idle:
        warnings.warn(
            f"{idle[0]} is {given[idle[0]]}, which changes nothing at temperature 0 (greedy)",
            stacklevel=6,
        )
    return numbers


def _number(name: str, value: Any, whose: str = "") -> Any:
    whole = name == "top_k"
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise TypeError(f"{whose}{name} is {value!r}, expected a {'whole ' if whole else ''}number")
    return int(value) if isinstance(value, Integral) and whole else float(value)


def _seeds(seed: int | Sequence[int] | None, rows: int) -> list[int]:
    if seed is None or isinstance(seed, int):
        start = 0 if seed is None else int(seed)
        seeds = [start + row for row in range(rows)]
    else:
        seeds = [int(one) for one in seed]
        if len(seeds) != rows:
            raise ValueError(f"seed has {len(seeds)} entries, expected one for each of {rows} rows")
    for one in seeds:
        if not 0 <= one < 2**64:
            raise ValueError(f"seed is {one}, expected 0 to 2**64 - 1")
    return seeds


def _stops(model: Model, stop: Stop) -> tuple[list[int], list[str]]:
    items = [] if stop is None else [stop] if isinstance(stop, str | int) else list(stop)
    ids, texts = [], []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise TypeError(f"stop has {item!r}, expected texts and token ids")
        if isinstance(item, str):
            special = model.tokenizer.special_id(item)
            if not item:
                raise ValueError("stop has an empty text, expected at least one character")
            if special is None:
                texts.append(item)
            else:  # it never shows in a text
                ids.append(special)
        elif not 0 <= item < model.cfg.d_vocab:
            raise ValueError(f"stop has id {item}, expected 0 to {model.cfg.d_vocab - 1}")
        else:
            ids.append(int(item))
    return ids, texts


def _warn_of_lacking(config: dict[str, Any], drawing: bool) -> None:
    lacking = _LACKING | _LACKING_SAMPLERS if drawing else _LACKING
    asked = [
        f"{name} {config[name]!r}"
        for name, nothing in lacking.items()
        if config.get(name) is not None and config[name] not in nothing
    ]
    if asked:
        warnings.warn(
            f"generation_config.json asks for {', '.join(asked)}, which is not done here",
            stacklevel=5,
        )
