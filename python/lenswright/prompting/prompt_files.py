"""Prompts from files: JSON lines, JSON arrays, CSV tables and plain text, each with its place."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

TEXT_KEYS = ("prompt", "instruction", "statement", "text")
ANSWER_KEYS = ("answer", "output")
TRUE = ("1", "true", "yes", "positive", "unsafe", "harmful")
FALSE = ("0", "false", "no", "negative", "safe", "harmless")

Row = tuple[str, Any]  # place ("file:line"), string or mapping


def read_rows(path: str | Path, positive: bool) -> list[Row]:
    """The rows of a prompts file, each with its place "file:line".

    By suffix: `.json` an array of strings or objects, `.csv` a table with a header; anything else
    is JSON lines where it is `.jsonl` or begins with `{`, and otherwise plain text, a prompt a
    line (empty lines are skipped). Of a table with a column `label`, `positive` takes the rows that
    say 1 (true, yes, positive, unsafe, harmful) and the other side those that say 0 (false, no,
    negative, safe, harmless).

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty or malformed, with the file and the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such prompts file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line}: expected UTF-8 text, found byte {error.start}") from error
    suffix = path.suffix.lower()
    if suffix == ".json":
        rows = list(_array(text, path))
    elif suffix == ".csv":
        rows = list(_table(text, path, positive))
    else:
        rows = list(_lines(text, path))
    if not rows:
        what = "" if suffix != ".csv" else f" with label {TRUE[0] if positive else FALSE[0]}"
        raise ValueError(f"{path}: has no prompts{what}, expected at least one")
    return rows


def _lines(text: str, path: Path) -> Iterator[Row]:
    is_json = path.suffix.lower() == ".jsonl" or text.lstrip()[:1] == "{"
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        if not is_json:
            yield place, line.strip()
            continue
        try:
            yield place, json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{place}: not a JSON line ({error.msg} at column {error.colno}); expected "
                '{"prompt": ..., "answer": ...} or a string'
            ) from error


def _array(text: str, path: Path) -> Iterator[Row]:
    # Element by element, so that each keeps its line.
    decoder, at = json.JSONDecoder(), _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError(f"{path}:{_line(text, at)}: expected a JSON array of strings or objects")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
        yield f"{path}:{_line(text, at)}", value
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ValueError(f"{path}:{_line(text, at)}: not JSON (expected ',' or ']')")
    if text[at + 1 :].strip():
        raise ValueError(f"{path}:{_line(text, at)}: text behind the end of the JSON array")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _table(text: str, path: Path, positive: bool) -> Iterator[Row]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    names = list(reader.fieldnames or [])
    if not any(key in names for key in TEXT_KEYS):
        raise ValueError(
            f"{path}:1: has columns {names}, expected one of {', '.join(TEXT_KEYS)} among them"
        )
    try:
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise ValueError(f"{place}: does not have the {len(names)} columns of the header")
            label = row.get("label")
            if label is None or _is_true(label, place) == positive:
                yield place, row
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _is_true(label: str, place: str) -> bool:
    value = label.strip().lower()
    if value not in TRUE + FALSE:
        raise ValueError(f"{place}: label is '{label}', expected one of {', '.join(TRUE + FALSE)}")
    return value in TRUE


def fields(row: Any, place: str) -> tuple[str, str | None, dict[str, Any]]:
    """The prompt's text, its answer where there is one, and what else the row says.

    A mapping's text is under "prompt" (or "instruction", "statement", "text"; an "input" beside an
    instruction follows it on a new line), its answer under "answer" or "output".

    Raises:
        ValueError: no text, an empty one, or one of another type, with its place.
    """
    if isinstance(row, str):
        return _checked(row, place, "prompt"), None, {}
    if not isinstance(row, Mapping):
        raise ValueError(
            f'{place}: is a {type(row).__name__}, expected {{"prompt": ...}} or a string'
        )
    key = _first(TEXT_KEYS, row)
    if key is None:
        keys = ", ".join(repr(k) for k in row) or "none"
        raise ValueError(f'{place}: has no "prompt" (its keys: {keys})')
    text = _checked(row[key], place, key)
    taken = {key}
    if key == "instruction" and isinstance(row.get("input"), str):
        taken.add("input")
        text = f"{text}\n{row['input']}" if row["input"].strip() else text
    answer_key = _first(ANSWER_KEYS, row)
    answer = None
    if answer_key is not None and row[answer_key] is not None:
        answer = _checked(row[answer_key], place, answer_key)
    return text, answer, {k: v for k, v in row.items() if k not in taken | {answer_key}}


def _first(keys: Iterable[str], row: Mapping[str, Any]) -> str | None:
    return next((key for key in keys if key in row), None)


def _checked(value: Any, place: str, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{place}: "{key}" is {value!r}, expected a string')
    if not value.strip():
        raise ValueError(f'{place}: "{key}" is empty, expected text')
    return value
