"""The `tokenizer` section of a recipe, checked before any tokenizer is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lenswright.nearest import did_you_mean

_KEYS = ("source", "tokens", "pad_to_multiple_of")
_KINDS = {"zero": {"kind"}, "model_token": {"kind", "model", "token", "token_id"}}


def check(section: Any, where: str = "tokenizer") -> None:
    """Check all that needs no model.

    Raises:
        ValueError: with the place, what is there, what was expected and the nearest key.
    """
    _mapping(section, where, _KEYS)
    if not isinstance(section.get("source", "union"), str):
        raise ValueError(f"{where}.source is {section['source']!r}, expected a text")
    multiple = section.get("pad_to_multiple_of")
    if multiple is not None and not (_whole(multiple) and multiple > 0):
        raise ValueError(
            f"{where}.pad_to_multiple_of is {multiple!r}, expected a whole number of 1 or more"
        )
    tokens = section.get("tokens") or {}
    if not isinstance(tokens, Mapping):
        raise ValueError(f"{where}.tokens is {tokens!r}, expected entries by token")
    for token, entry in tokens.items():
        _entry(entry, f"{where}.tokens.{token}")


def _entry(entry: Any, where: str) -> None:
    _mapping(entry, where, ("source", "force"))
    if not isinstance(entry.get("force", False), bool):
        raise ValueError(f"{where}.force is {entry['force']!r}, expected true or false")
    source = entry.get("source")
    if source is None or isinstance(source, str):
        return
    if not isinstance(source, Mapping):
        raise ValueError(f"{where}.source is {source!r}, expected a model, or {{kind}}")
    kind = source.get("kind")
    if kind not in _KINDS:
        raise ValueError(
            f"{where}.source: kind is {kind!r}, expected 'zero' or 'model_token'"
            f"{did_you_mean(kind, _KINDS)}"
        )
    _mapping(source, f"{where}.source", _KINDS[kind])
    if kind == "zero":
        return
    given = [key for key in ("token", "token_id") if source.get(key) is not None]
    if "model" not in source or len(given) != 1:
        raise ValueError(f"{where}.source: expected model, and token or token_id")
    if given == ["token_id"] and not _whole(source["token_id"]):
        raise ValueError(f"{where}.source.token_id is {source['token_id']!r}, expected a number")
    if given == ["token"] and not isinstance(source["token"], str):
        raise ValueError(f"{where}.source.token is {source['token']!r}, expected a text")


def _mapping(value: Any, where: str, keys: Iterable[str]) -> None:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{where} is {value!r}, expected {', '.join(sorted(keys))}")
    for key in value:
        if key not in set(keys):
            raise ValueError(
                f"{where}: unknown key '{key}'; expected {', '.join(sorted(keys))}"
                f"{did_you_mean(key, keys)}"
            )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
