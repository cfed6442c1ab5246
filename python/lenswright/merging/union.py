"""The union of tokenizers: one of them, and after its tokens those that only others have."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def token_ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token in the data of a tokenizer.json, added ones included.

    Raises:
        ValueError: a vocabulary that is neither a mapping (BPE, WordPiece) nor a list (Unigram).
    """
    vocab = tokenizer["model"].get("vocab")
    if isinstance(vocab, dict):
        ids = dict(vocab)
    elif isinstance(vocab, list):
        ids = {piece: i for i, (piece, _) in enumerate(vocab)}
    else:
        raise ValueError("a vocabulary of a kind that is not known, expected a mapping or a list")
    return ids | {token["content"]: token["id"] for token in tokenizer.get("added_tokens", [])}


def union(folders: Mapping[str, Path], first: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The tokens' ids, and tokenizer.json and tokenizer_config.json of the union.

    Tokens of `first` keep their ids; those of the other models follow, model by model as the recipe
    lists them, by their ids there. Texts are cut up as `first` does it; merges of the others come
    after its own.

    Raises:
        ValueError: tokenizers of different kinds (BPE, Unigram, WordPiece, WordLevel).
    """
    names = [first, *(name for name in folders if name != first)]
    found = {name: _read(folders[name]) for name in names}
    out = copy.deepcopy(found[first])
    model = out["model"]
    kind = model.get("type", "BPE")
    ids = token_ids(out)
    settings = _config(folders[first])
    for name in names[1:]:
        other = found[name]
        if other["model"].get("type", "BPE") != kind:
            raise ValueError(
                f"tokenizer: '{name}' is of type {other['model'].get('type')}, '{first}' of type "
                f"{kind}; expected the same for a union"
            )
        _add_pieces(model, other["model"], ids)
        _add_tokens(out, other, ids, settings)
    files = [("tokenizer.json", json.dumps(out, ensure_ascii=False))]
    if settings:
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        files.append(("tokenizer_config.json", text))
    return ids, files


def with_new(
    names: Sequence[str], files: Mapping[str, str], ids: dict[str, int]
) -> list[tuple[str, str]]:
    """tokenizer.json and tokenizer_config.json with tokens that no model has, after all others.

    They are plain added tokens, as `tokenizers` adds a text: no special ones. `ids` gets theirs.
    """
    data = json.loads(files["tokenizer.json"])
    settings = json.loads(files.get("tokenizer_config.json") or "{}")
    entry = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    entry |= {"normalized": True, "special": False}
    place = max(ids.values()) + 1
    tokens = [{"id": place + i, "content": name} | entry for i, name in enumerate(names)]
    _add_tokens(data, {"added_tokens": tokens}, ids, settings)
    out = [("tokenizer.json", json.dumps(data, ensure_ascii=False))]
    if settings:
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        out.append(("tokenizer_config.json", text))
    return out


def _read(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return data


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _add_pieces(model: dict[str, Any], other: Mapping[str, Any], ids: dict[str, int]) -> None:
    vocab = other["vocab"]
    if not isinstance(vocab, dict):  # Unigram: an id is a place in the list
        for piece, score in vocab:
            if piece not in ids:
                while len(model["vocab"]) <= max(ids.values()):  # ids of added tokens stay theirs
                    model["vocab"].append([f"<unused{len(model['vocab'])}>", -1e9])
                ids[piece] = len(model["vocab"])
                model["vocab"].append([piece, score])
        return
    for piece, _ in sorted(vocab.items(), key=lambda item: item[1]):
        if piece not in ids:
            ids[piece] = model["vocab"][piece] = max(ids.values()) + 1
    if "merges" not in model:
        return
    pairs = {_pair(merge) for merge in model["merges"]}
    as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
    for merge in other.get("merges", []):
        left, right = _pair(merge)
        if (left, right) in pairs or left + right not in model["vocab"]:
            continue
        if left in model["vocab"] and right in model["vocab"]:
            model["merges"].append(f"{left} {right}" if as_text else [left, right])


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _add_tokens(
    out: dict[str, Any], other: Mapping[str, Any], ids: dict[str, int], settings: dict[str, Any]
) -> None:
    known = {token["content"] for token in out.setdefault("added_tokens", [])}
    for token in sorted(other.get("added_tokens", []), key=lambda entry: entry["id"]):
        if token["content"] in known:
            continue
        place = ids.setdefault(token["content"], max(ids.values()) + 1)
        out["added_tokens"].append(token | {"id": place})
        if settings:
            entry = {key: value for key, value in token.items() if key != "id"}
            settings.setdefault("added_tokens_decoder", {})[str(place)] = entry
