"""Merge recipes: YAML of mergekit's grammar, read strictly, as plain data."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenswright import _files
from lenswright.merging.references import reference_text

Source = str | os.PathLike[str] | Mapping[str, Any]


@dataclass
class Document:
    """One document of a recipe."""

    data: dict[str, Any]
    where: str  # for messages

    @property
    def name(self) -> str:
        """Of a stage that later documents may name as a model, or ""."""
        return str(self.data.get("name") or "")

    @property
    def json(self) -> str:
        """The same as JSON, as the core reads it."""
        return json.dumps(_without_statistics(self.data), ensure_ascii=False, allow_nan=False)

    def statistics(self) -> dict[str, str]:
        """What was measured of models, by their names: files that `merge_statistics` wrote.

        Raises:
            ValueError: something that is no path.
        """
        found: dict[str, str] = {}
        for i, entry in enumerate(self.data.get("models") or []):
            if not isinstance(entry, dict) or entry.get("statistics") is None:
                continue
            path = entry["statistics"]
            if not isinstance(path, str):
                raise ValueError(
                    f"{self.where}: models[{i}].statistics is {path!r}, expected a path"
                )
            found[str(entry.get("model"))] = path
        return found

    def models(self) -> list[str]:
        """Every model it names, once; checks the document by itself.

        Raises:
            ValueError: with the place, what was expected and the nearest name.
        """
        return _files.recipe_models(self.json, self.where)


def _without_statistics(data: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(data)
    if isinstance(out.get("models"), list):
        out["models"] = [
            {key: value for key, value in entry.items() if key != "statistics"}
            if isinstance(entry, dict)
            else entry
            for entry in out["models"]
        ]
    return out


def read(recipe: Source) -> list[Document]:
    """The documents of a recipe, in the order in which they can be done.

    Args:
        recipe: a YAML file, a mapping, or YAML text (of more than one line).

    Raises:
        FileNotFoundError: no such file.
        ValueError: no YAML; a key twice; a value that no recipe has; stages that need one another.
    """
    if isinstance(recipe, Mapping):
        return ordered([Document(_plain(dict(recipe), "recipe"), "recipe")])
    text, where = _text_of(recipe)
    found = [data for data in _parse(text, where) if data is not None]
    if not found:
        raise ValueError(f"{where}: empty, expected a recipe")
    documents = []
    for number, data in enumerate(found):
        place = where if len(found) == 1 else f"{where}, document {number + 1}"
        if not isinstance(data, dict):
            raise ValueError(
                f"{place}: expected keys such as merge_method and models, found {data!r}"
            )
        documents.append(Document(_plain(data, place), place))
    return ordered(documents)


def _text_of(recipe: str | os.PathLike[str]) -> tuple[str, str]:
    if isinstance(recipe, str) and "\n" in recipe:
        return recipe, "recipe"
    path = Path(recipe)
    if not path.is_file():
        raise FileNotFoundError(f"no recipe at '{path}': there is no such file")
    return path.read_text(encoding="utf-8"), path.name


def _parse(text: str, where: str) -> list[Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML 1.1 as everywhere, with numbers such as 1e-5 as in YAML 1.2, and no key twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise ValueError(
                        f"{where}: key '{key.value}' twice, line {key.start_mark.line + 1}"
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+0123456789."),
    )
    try:
        return list(yaml.load_all(text, Loader))
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: no YAML: {' '.join(str(error).split())}") from None


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where}: key {key!r} is no text; put it into quotes")
        if set(value) == {"model"} and isinstance(value["model"], Mapping):
            return {"model": reference_text(value["model"], where)}
        return {
            key: reference_text(one, f"{where}: {key}")
            if key in ("model", "base_model") and isinstance(one, Mapping)
            else _plain(one, f"{where}: {key}")
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(one, f"{where}[{i}]") for i, one in enumerate(value)]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, expected a finite number")
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ValueError(f"{where} is {value!r}, expected a number, a text, a list or a mapping")


def ordered(documents: list[Document]) -> list[Document]:
    """Stages before those that name them; the one without a name, or the last, at the end."""
    names = [document.name for document in documents]
    for name in names:
        if name and names.count(name) > 1:
            raise ValueError(f"{documents[0].where}: two stages are called '{name}'")
    if names.count("") > 1:
        raise ValueError(
            f"{documents[0].where}: {names.count('')} documents have no name, expected one at most"
        )
    done: list[Document] = []
    waiting = [d for d in documents if d.name] + [d for d in documents if not d.name]
    while waiting:
        open_names = {d.name for d in waiting if d.name}
        ready = [d for d in waiting if not open_names & set(_named(d)) - {d.name}]
        ready = [d for d in ready if d.name not in _named(d)]
        if not ready:
            raise ValueError(
                f"{waiting[0].where}: the stages {', '.join(sorted(open_names))} need one another"
            )
        done.append(ready[0])
        waiting.remove(ready[0])
    return done


def _named(document: Document) -> list[str]:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(
                one
                for key, one in value.items()
                if key in ("model", "base_model") and isinstance(one, str)
            )
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(document.data)
    return found
