"""Prompts in three parts that cannot be mixed: to fit, to select, to test."""

from __future__ import annotations

import hashlib
import html
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lenswright.prompting.prompt_files import fields, read_rows
from lenswright.prompting.prompt_sets import (
    CLASSES,
    ROLES,
    Prompt,
    PromptSet,
    Role,
    need_role,
    refuse_overlap,
)

__all__ = ["CLASSES", "ROLES", "Prompt", "PromptSet", "Splits", "need_role", "refuse_overlap"]

DEFAULT_FRACTIONS = (0.5, 0.2, 0.3)

Rows = Iterable["str | Mapping[str, Any] | Prompt"]


class Splits:
    """Prompts to fit on, to select by and to test with; no prompt is in two of them.

    Made by `from_files`, `from_rows` or `from_parts`. `fit`, `select` and `test` are `PromptSet`s:
    `model.collect` takes only the first, `directions.select` only the second, `measure` only the
    third.
    """

    def __init__(self, fit: PromptSet, select: PromptSet, test: PromptSet) -> None:
        self.fit, self.select, self.test = fit, select, test
        for role, part in zip(ROLES, self.parts, strict=True):
            if part.role != role:
                raise ValueError(f"{role} is the '{part.role}' part, expected a '{role}' part")
        _check_disjoint(self.parts)

    @property
    def parts(self) -> tuple[PromptSet, PromptSet, PromptSet]:
        """fit, select, test."""
        return self.fit, self.select, self.test

    @classmethod
    def from_files(
        cls,
        positive: str | Path,
        negative: str | Path,
        seed: int = 0,
        fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    ) -> Splits:
        """Read two files of prompts and split each.

        Args:
            positive: prompts that show the behaviour: JSON lines {"prompt": ..., "answer": ...
                optional, other keys kept}, a JSON array of such or of strings, a CSV table, or
                plain text lines (see `lenswright.prompting.prompt_files.read_rows`).
            negative: prompts that do not.
            seed: of the split, which depends on (seed, prompt) and not on the order of lines.
            fractions: of fit, select and test; they sum to 1.

        Raises:
            FileNotFoundError: no such file.
            ValueError: an empty or malformed file, with its line; a prompt in both classes.
        """
        return cls.from_rows(
            _from_file(positive, True), _from_file(negative, False), seed=seed, fractions=fractions
        )

    @classmethod
    def from_rows(
        cls,
        positive: Rows,
        negative: Rows,
        seed: int = 0,
        fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    ) -> Splits:
        """Split texts, {"prompt": ..., "answer": ...} mappings or `Prompt`s; see `from_files`."""
        classes = {
            "positive": _unique(_prompts(positive, "positive"), "positive"),
            "negative": _unique(_prompts(negative, "negative"), "negative"),
        }
        _check_fractions(fractions)
        parts = {name: _split(prompts, seed, fractions, name) for name, prompts in classes.items()}
        sets = [
            PromptSet(role, parts["positive"][i], parts["negative"][i])
            for i, role in enumerate(ROLES)
        ]
        return cls(*sets)

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[str, str]],
        seed: int = 0,
        fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    ) -> Splits:
        """Split (positive, negative) texts that differ in one thing only; a pair stays together.

        In files, rows that belong together have an equal "pair" in both classes. See
        `lw.directions.paired`.

        Raises:
            ValueError: no pairs; a text in two of them.
        """
        sides: tuple[list[Prompt], list[Prompt]] = ([], [])
        for index, texts in enumerate(pairs):
            for side, text in zip(sides, texts, strict=True):
                side.append(Prompt(text, extra={"pair": str(index)}, place=f"pairs[{index}]"))
        return cls.from_rows(*sides, seed=seed, fractions=fractions)

    @classmethod
    def from_parts(
        cls, fit: Mapping[str, Rows], select: Mapping[str, Rows], test: Mapping[str, Rows]
    ) -> Splits:
        """Take three parts as they are, each {"positive": rows or file, "negative": rows or file}.

        Raises:
            ValueError: a part lacks a class or has another key; a prompt lies in two parts.
        """
        given = {"fit": fit, "select": select, "test": test}
        return cls(*(_part(role, given[role]) for role in ROLES))

    @property
    def provenance(self) -> dict[str, Any]:
        """The provenance of each part."""
        return {part.role: part.provenance for part in self.parts}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{p.role} {len(p.positive)} + {len(p.negative)}" for p in self.parts)
        return f"Splits({sizes} positive + negative prompts)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{p.role}</td><td>{len(p.positive)}</td><td>{len(p.negative)}</td>"
            f"<td><code>{html.escape(p.positive[0].text)}</code></td>"
            f"<td><code>{html.escape(p.negative[0].text)}</code></td></tr>"
            for p in self.parts
        )
        head = "<th>part</th><th>positive</th><th>negative</th><th colspan=2>for example</th>"
        return f"<table><tr>{head}</tr>{rows}</table>"


def read_test_set(negative: str | Path, positive: str | Path | None = None) -> PromptSet:
    """Prompts to measure with that are not split, from files as `Splits.from_files` reads them.

    Args:
        negative: prompts that do not show the behaviour.
        positive: prompts that do; None: there are none.
    """
    shown = [] if positive is None else _unique(_from_file(positive, True), "positive")
    return PromptSet("test", shown, _unique(_from_file(negative, False), "negative"))


def _from_file(path: str | Path, positive: bool) -> list[Prompt]:
    return [_prompt(row, place) for place, row in read_rows(path, positive)]


def _prompt(row: Any, place: str) -> Prompt:
    if isinstance(row, Prompt):
        return row
    text, answer, extra = fields(row, place)
    return Prompt(text, answer, extra, place)


def _prompts(rows: Rows | str | Path, name: str) -> list[Prompt]:
    if isinstance(rows, str | Path):  # a file; a lone text would be a split of one prompt
        return _from_file(rows, name == "positive")
    return [_prompt(row, f"{name}[{index}]") for index, row in enumerate(rows)]


def _unique(prompts: Sequence[Prompt], name: str) -> list[Prompt]:
    kept: dict[str, Prompt] = {}
    for prompt in prompts:
        kept.setdefault(prompt.normalised, prompt)
    if not kept:
        raise ValueError(f"{name} has no prompts, expected at least one")
    if len(kept) < len(prompts):
        twice = next(p for p in prompts if kept[p.normalised] is not p)
        warnings.warn(
            f"{name}: {len(prompts) - len(kept)} repeated prompts are left out, the first of them "
            f"{twice}",
            stacklevel=4,
        )
    return list(kept.values())


def _check_fractions(fractions: Sequence[float]) -> None:
    good = len(fractions) == 3 and all(0 < f < 1 for f in fractions)
    if not good or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(
            f"fractions is {tuple(fractions)}, expected three numbers above 0 that sum to 1"
        )


def _split(
    prompts: Sequence[Prompt], seed: int, fractions: Sequence[float], name: str
) -> list[list[Prompt]]:
    # In the order of a hash, so that neither the order of lines nor that of calls has a say.
    # A pair has one hash in both classes, so that it goes to one part.
    def key(prompt: Prompt) -> bytes:
        name = f"pair {prompt.extra['pair']}" if "pair" in prompt.extra else prompt.normalised
        return hashlib.sha256(f"{seed}\0{name}".encode()).digest()

    ordered = sorted(prompts, key=key)
    first = round(len(ordered) * fractions[0])
    second = round(len(ordered) * (fractions[0] + fractions[1]))
    parts = [ordered[:first], ordered[first:second], ordered[second:]]
    for role, part in zip(ROLES, parts, strict=True):
        if not part:
            raise ValueError(
                f"fractions {tuple(fractions)} of {len(ordered)} {name} prompts leave none to "
                f"{role}; give more prompts, other fractions, or parts (Splits.from_parts)"
            )
    return parts


def _part(role: Role, part: Mapping[str, Any]) -> PromptSet:
    if set(part) != set(CLASSES):
        raise ValueError(f"{role} has keys {sorted(part)}, expected 'positive' and 'negative'")
    classes = [_unique(_prompts(part[name], name), f"{role}.{name}") for name in CLASSES]
    return PromptSet(role, *classes)


def _check_disjoint(parts: Iterable[PromptSet]) -> None:
    seen: dict[str, tuple[str, Prompt]] = {}
    for part in parts:
        for name in CLASSES:
            for prompt in part.of(name):
                where = f"{part.role}.{name}"
                if prompt.normalised in seen:
                    other, first = seen[prompt.normalised]
                    raise ValueError(
                        f"prompt {prompt} is in {where} and, as {first}, in {other}; expected "
                        "every prompt in one part and one class only"
                    )
                seen[prompt.normalised] = where, prompt
