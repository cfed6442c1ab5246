"""Tokenizers of a merge: which row of each embedding is which row of the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lenswright.merging import tokenizer_section
from lenswright.merging.union import token_ids, union, with_new
from lenswright.nearest import did_you_mean

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja",
)  # fmt: skip


@dataclass
class Vocabulary:
    """The tokens of a model and the number of rows its embedding has."""

    folder: Path
    ids: dict[str, int]
    rows: int

    @staticmethod
    def of(folder: Path) -> Vocabulary:
        """Read tokenizer.json and config.json of a folder.

        Raises:
            FileNotFoundError: no tokenizer.json.
            ValueError: a vocabulary of a kind we do not read.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"tokenizer: '{folder}' has no tokenizer.json; write one with "
                "transformers' save_pretrained of its fast tokenizer"
            )
        try:
            ids = token_ids(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"tokenizer: '{path}': {error}") from error
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
        return Vocabulary(folder, ids, int(rows if rows else max(ids.values()) + 1))

    def id(self, token: str) -> int | None:
        """The row of a token; None where the model has none."""
        found = self.ids.get(token)
        return None if found is None or found >= self.rows else found


def plan(
    section: Mapping[str, Any], folders: Mapping[str, Path], base: str | None, mode: str
) -> tuple[str, list[tuple[str, str]], list[str]]:
    """What a `tokenizer` section comes to: rows as JSON, the tokenizer's files, what was decided.

    Args:
        section: source, tokens, pad_to_multiple_of. Tokens that the chosen tokenizer lacks are
            added to it.
        folders: of every model of the recipe.
        base: the base model, or None.
        mode: strict keeps the rows behind the last token; compat cuts them off.

    Raises:
        ValueError: an unknown source, token or kind.
    """
    tokenizer_section.check(section)
    source = str(section.get("source", "union"))
    notes = []
    known = {name: Vocabulary.of(folder) for name, folder in folders.items()}
    if source == "union":
        donor = base or next(iter(folders))
        ids, files = union(folders, donor)
    else:
        donor = str(base) if source == "base" else source
        if source == "base" and base is None:
            donor = next(iter(folders))
            notes.append(f"tokenizer of '{donor}', the first model: there is no base_model")
        if donor not in folders:
            raise ValueError(
                f"tokenizer source is '{source}', expected 'union', 'base' or one of "
                + ", ".join(folders)
                + did_you_mean(source, ["union", "base", *folders])
            )
        ids, files = known[donor].ids, []
    files = tokenizer_files(known[donor].folder, dict(files))
    wishes = _wishes(section.get("tokens") or {}, ids, known)
    if new := [token for token in wishes if token not in ids]:
        ids = dict(ids)
        files = list((dict(files) | dict(with_new(new, dict(files), ids))).items())
        notes += [
            f"token '{token}', which the tokenizer lacks, added as {ids[token]}" for token in new
        ]
    size = max(ids.values()) + 1
    if mode == "strict":
        size = max(size, known[donor].rows)
    multiple = int(section.get("pad_to_multiple_of") or 1)
    size = -(-size // multiple) * multiple
    tokens = {index: token for token, index in ids.items()}
    rows = {
        name: _rows(vocabulary, name, tokens, size, known, base, wishes)
        for name, vocabulary in known.items()
    }
    return json.dumps({"size": size, "rows": rows}), files, notes


def tokenizer_files(
    folder: Path, made: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, str]]:
    """The tokenizer's text files: those made, the rest as they are in a folder; "" for none.

    SentencePiece's own file is left out: tokenizer.json says the same, and alone says the rest.
    """

    def text(name: str) -> str:
        path = folder / name
        return made.get(name) or (path.read_text(encoding="utf-8") if path.is_file() else "")

    return [*((name, text(name)) for name in TOKENIZER_FILES), ("tokenizer.model", "")]


@dataclass
class _Wish:
    places: list[list[Any]]  # [model, row], none for zeros
    force: bool


def _wishes(
    tokens: Mapping[str, Any], ids: Mapping[str, int], known: Mapping[str, Vocabulary]
) -> dict[str, _Wish]:
    out = {}
    for token, entry in tokens.items():
        if token not in ids and entry.get("source") is None:
            raise ValueError(
                f"tokenizer.tokens: '{token}' is no token of the chosen tokenizer, and to add it a "
                f"source is needed{did_you_mean(token, ids)}"
            )
        out[token] = _Wish(_place(token, entry.get("source"), known), bool(entry.get("force")))
    return {token: wish for token, wish in out.items() if wish.places is not None}


def _place(token: str, source: Any, known: Mapping[str, Vocabulary]) -> Any:
    def model(name: Any) -> Vocabulary:
        if name not in known:
            raise ValueError(
                f"tokenizer.tokens.{token}: '{name}' is no model, expected one of "
                + ", ".join(known)
                + did_you_mean(name, known)
            )
        return known[name]

    if source is None:
        return None
    if isinstance(source, str):
        row = model(source).id(token)
        if row is None:
            raise ValueError(f"tokenizer.tokens.{token}: model '{source}' has no such token")
        return [[source, row]]
    if source["kind"] == "zero":
        return []
    vocabulary = model(source.get("model"))
    row = source.get("token_id")
    if row is None:
        row = vocabulary.id(str(source.get("token")))
    if row is None or not 0 <= int(row) < vocabulary.rows:
        raise ValueError(
            f"tokenizer.tokens.{token}: model '{source['model']}' has no token "
            f"'{source.get('token', source.get('token_id'))}'"
        )
    return [[source["model"], int(row)]]


def _rows(
    vocabulary: Vocabulary,
    name: str,
    tokens: Mapping[int, str],
    size: int,
    known: Mapping[str, Vocabulary],
    base: str | None,
    wishes: Mapping[str, _Wish],
) -> dict[str, Any]:
    """Its own embedding where the model has the token; else the wish's, the only model's that has
    it, the base's, the mean of all that have it; rows without a token: the mean of the others."""
    used = set(vocabulary.ids.values())
    own: list[int] = []
    others: dict[str, list[list[Any]]] = {}
    for row in range(size):
        token = tokens.get(row)
        if token is None:
            spare = row < vocabulary.rows and row not in used
            own.append(row if spare else -1)
            if not spare:
                others[str(row)] = [[name, -1]]
            continue
        wish = wishes.get(token)
        mine = vocabulary.id(token)
        if mine is not None and not (wish and wish.force):
            own.append(mine)
            continue
        own.append(-1)
        have = [[m, v.id(token)] for m, v in known.items() if v.id(token) is not None]
        if wish:
            have = wish.places
        elif len(have) > 1 and base is not None and known[base].id(token) is not None:
            have = [[base, known[base].id(token)]]
        others[str(row)] = have if have or wish else [[name, -1]]
    return {"own": own, "others": others}
