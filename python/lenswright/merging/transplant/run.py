"""Giving a model another model's tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.merging.assembling import RECORD, Assembly, checked_target
from lenswright.merging.transplant.methods import METHODS, Rows
from lenswright.merging.transplant.surface import is_byte, surfaces
from lenswright.merging.vocabularies import Vocabulary, tokenizer_files
from lenswright.nearest import did_you_mean

EMBEDDINGS = (
    "model.embed_tokens.weight", "transformer.wte.weight", "gpt_neox.embed_in.weight",
    "model.language_model.embed_tokens.weight", "language_model.model.embed_tokens.weight",
    "wte.weight", "transformer.word_embeddings.weight",
)  # fmt: skip
HEADS = ("lm_head.weight", "embed_out.weight", "language_model.lm_head.weight")
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id")


@dataclass
class Transplant:
    """A model that was given another tokenizer.

    shared: tokens that both have, whose rows are the model's own. made: tokens whose rows were
    made. spare: rows without a token, which get the mean of the model's. tied: one table is both.
    """

    folder: Path
    method: str
    shared: int
    made: int
    spare: int
    tied: bool

    def text(self) -> str:
        """For people."""
        return (
            f"{self.shared:,} tokens keep their rows, {self.made:,} rows are made ({self.method}), "
            f"{self.spare:,} rows have no token; "
            f"{'one table' if self.tied else 'embedding and unembedding'}\nwrote {self.folder}"
        )

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return vars(self) | {"folder": str(self.folder)}


def transplant(
    model: str | os.PathLike[str],
    donor: str | os.PathLike[str],
    output: str | os.PathLike[str],
    method: str = "omp",
    *,
    k: int = 64,
    seed: int = 0,
    threads: int = 0,
    shard_size: int | str = "5GB",
    progress: bool = True,
) -> Transplant:
    """Write a model with another model's tokenizer, and rows of its embeddings to fit.

    Tokens of the same text keep the model's rows, however either tokenizer spells them; rows of
    the others are made. The unembedding, where the model has one of its own, is made likewise of
    the donor's. All other tensors are copied. Work in memory: the two models' tables.

    Args:
        model: folder or hub id of the model that is to speak otherwise.
        donor: folder or hub id whose tokenizer it gets.
        output: a folder that does not exist; it appears whole or not at all.
        method: of rows for new tokens: "omp", sparse sums of k shared tokens, found in the donor;
            "nearest", a mean of the k nearest shared tokens there; "subword", the mean of its
            pieces' rows; "mean" of all rows; "zero"; "normal", drawn with mean and covariance of
            the model's rows.
        k: for omp and nearest.
        seed: for normal.
        threads: 0 for one per processor.
        shard_size: bytes of a file at most, or text such as "5GB".
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: an unknown method (with the nearest), k below 1, tokenizers that share nothing,
            models without a known table of embeddings.
        FileNotFoundError: a model or its tokenizer.json is not there.
        FileExistsError: the output exists. CheckpointError: as Checkpoint does.

    Source: Pati, Rezaiifar and Krishnaprasad 1993; for vocabularies Goddard and Fernandes Neto
    2025, arXiv:2506.06607.
    """
    if method not in METHODS:
        hint = did_you_mean(method, METHODS) or f", expected one of {', '.join(METHODS)}"
        raise ValueError(f"method is {method!r}{hint}")
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    target = checked_target(output)
    work = _Transplanting(Checkpoint(model), Checkpoint(donor), method, k, seed)
    made = {name: work.table(name) for name in work.names}
    config, files = work.config(), work.files()
    assembly = Assembly({str(model): work.model.path}, str(model), config, seed, shard_size)
    for name in work.model:
        if name in made:
            assembly.make(name)
        elif name not in HEADS:  # one that is there though it is tied says nothing
            assembly.take(name, str(model), name)
    done = Transplant(target, method, len(work.shared), len(work.new), work.spare, work.tied)
    step = {"transplant": {"model": str(model), "donor": str(donor), "k": k, "seed": seed}}
    told = step | {key: value for key, value in done.to_json().items() if key != "folder"}
    record = json.dumps({"format": "lenswright record 1", "steps": [told]}, indent=2) + "\n"
    assembly.run(assembly.plan(made), target, [*files, (RECORD, record)], "transplanting", threads,
                 progress)  # fmt: skip
    return done


class _Transplanting:
    """Both vocabularies, and the tables to come."""

    def __init__(
        self, model: Checkpoint, donor: Checkpoint, method: str, k: int, seed: int
    ) -> None:
        self.model, self.donor = model, donor
        self._method, self._k, self._seed = method, k, seed
        self._own, self._other = Vocabulary.of(model.folder), Vocabulary.of(donor.folder)
        embedding, head = _tables(model)
        self.tied = head is None
        self.names = [embedding] if head is None else [embedding, head]
        donor_embedding, donor_head = _tables(donor)
        self._donors = {embedding: donor_embedding, head: donor_head or donor_embedding}
        self._match()

    def _match(self) -> None:
        mine: dict[bytes, int] = {}
        spelt = surfaces(self.model.folder)
        # A token of a byte's own is for texts that have no other.
        for token in sorted(spelt, key=is_byte):
            row = self._own.id(token)
            if row is not None:
                mine.setdefault(spelt[token], row)
        theirs = surfaces(self.donor.folder)
        self.size = max(self._other.rows, max(self._other.ids.values()) + 1)
        self.shared: list[tuple[int, int]] = []  # row of the donor, row of the model
        self.new: list[tuple[int, bytes]] = []  # row of the donor, the token's bytes
        seen = set()
        for token, row in sorted(self._other.ids.items(), key=lambda item: item[1]):
            if row in seen or row >= self._other.rows:
                continue
            seen.add(row)
            own = mine.get(theirs[token])
            if own is None:
                self.new.append((row, theirs[token]))
            else:
                self.shared.append((row, own))
        self.spare = self.size - len(seen)
        if not self.shared:
            raise ValueError(
                f"the tokenizers of '{self.model.path}' and '{self.donor.path}' share no token"
            )

    def table(self, name: str) -> torch.Tensor:
        """A table [size, d_model] in the model's type: rows that are its own to the bit."""
        own = self.model[name]
        wide = own.double()
        out = wide.mean(0).repeat(self.size, 1)
        if self.new:
            theirs = self.donor[self._donors[name]].double()
            mine = torch.tensor([row for _, row in self.shared])
            common = torch.tensor([row for row, _ in self.shared])
            fresh = torch.tensor([row for row, _ in self.new])
            rows = Rows(wide[mine], theirs[common], theirs[fresh], wide, self._pieces(), self._seed,
                        name, self._k)  # fmt: skip
            out[fresh] = METHODS[self._method](rows)
        out = out.to(own.dtype)
        for row, mine_row in self.shared:
            out[row] = own[mine_row]
        return out

    def _pieces(self) -> list[list[int]]:
        """What the model's tokenizer makes of new tokens' texts."""
        if self._method != "subword":
            return [[] for _ in self.new]
        from tokenizers import Tokenizer

        words = Tokenizer.from_file(str(self.model.folder / "tokenizer.json"))
        texts = [surface.decode("utf-8", "ignore") for _, surface in self.new]
        found = words.encode_batch(texts, add_special_tokens=False)
        return [[i for i in one.ids if i < self._own.rows] for one in found]

    def config(self) -> dict[str, Any]:
        """The model's config.json with the donor's vocabulary."""
        out = dict(self.model.config or {})
        theirs: Mapping[str, Any] = self.donor.config or {}
        inner = out.get("text_config")
        if isinstance(inner, dict) and "vocab_size" in inner:
            out["text_config"] = inner | {"vocab_size": self.size}
        else:
            out["vocab_size"] = self.size
        for key in _TOKEN_IDS:
            if key in out or theirs.get(key) is not None:
                out[key] = theirs.get(key)
        return out

    def files(self) -> list[tuple[str, str]]:
        """The donor's tokenizer; the model's generation settings with the donor's tokens."""
        out = tokenizer_files(self.donor.folder)
        settings = self.model.folder / "generation_config.json"
        if settings.is_file():
            own = json.loads(settings.read_text(encoding="utf-8"))
            other = self.donor.folder / "generation_config.json"
            theirs = json.loads(other.read_text(encoding="utf-8")) if other.is_file() else {}
            theirs = {key: (self.donor.config or {}).get(key) for key in _TOKEN_IDS} | theirs
            for key in _TOKEN_IDS:
                own.pop(key, None)
                if theirs.get(key) is not None:
                    own[key] = theirs[key]
            out.append(("generation_config.json", json.dumps(own, indent=2) + "\n"))
        return out


def _tables(model: Checkpoint) -> tuple[str, str | None]:
    """Names of a model's embedding, and of its unembedding where it has one of its own."""
    found = [name for name in EMBEDDINGS if name in model]
    if not found:
        raise ValueError(
            f"'{model.path}' has no table of embeddings of a known name; expected one of "
            + ", ".join(EMBEDDINGS)
        )
    for name in found:
        if model.info(name).dtype not in ("F64", "F32", "F16", "BF16"):
            raise ValueError(
                f"tensor '{name}' of '{model.path}' is {model.info(name).dtype}, expected plain "
                "floating-point numbers"
            )
    config = model.config or {}
    tied = config.get("tie_word_embeddings", (config.get("text_config") or {}).get(
        "tie_word_embeddings"))  # fmt: skip
    heads = [name for name in HEADS if name in model]
    return found[0], heads[0] if heads and not tied else None
