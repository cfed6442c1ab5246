"""Brings what a caller gave into plain JSON values and holds it against the schema, naming the
field that is wrong.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from lenswright.nearest import did_you_mean
from lenswright.plots.effects_row import WANTED
from lenswright.report import schema


def checked(data: Any) -> dict[str, Any]:
    """The data as plain JSON values in the order given. Raises ValueError that names the field and
    what was expected.
    """
    result = _plain(data, "report")
    _fit(result, schema.ReportData, "report")
    for name, matrices in (("separation", _MATRICES), ("grid", (*_GRID, "front", "dropped"))):
        if name in result:
            _places(result[name], matrices, f"report.{name}")
    _grid(result.get("grid", {}))
    for i, effect in enumerate(result.get("effects", [])):
        _effect(effect, f"report.effects[{i}]")
    return typing.cast(dict[str, Any], result)


_MATRICES = ("separation", "cosine", "norm", "standard_error", "split_half")
_GRID = ("bypass", "induce", "kl", "cosmic")


def _plain(value: Any, where: str) -> Any:
    """Tensors, arrays and their scalars through `.tolist()`, tuples as lists, keys as text; only
    finite numbers.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where}: the key {key!r} is {type(key).__name__}, expected text")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{where}: is {value}, expected a finite number (or None for one that was not measured)"
        )
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{where}: is {type(value).__name__}, expected a plain JSON value")


def _fit(value: Any, kind: Any, where: str) -> None:
    """Raises ValueError unless the value is of the annotated kind."""
    if typing.is_typeddict(kind):
        _fit_mapping(value, kind, where)
        return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{where}: is {_said(value)}, expected a list")
        for i, item in enumerate(value):
            _fit(item, arguments[0], f"{where}[{i}]")
    elif origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: is {_said(value)}, expected a mapping")
        for key, item in value.items():
            _fit(item, arguments[1], f"{where}.{key}")
    elif origin in (types.UnionType, typing.Union):
        _fit_union(value, arguments, where)
    elif not _is(value, kind):
        raise ValueError(f"{where}: is {_said(value)}, expected {_name(kind)}")


def _fit_mapping(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: is {_said(value)}, expected a mapping")
    fields = typing.get_type_hints(kind)
    for key in value:
        if key not in fields:
            hint = did_you_mean(key, fields, cutoff=0.5)
            raise ValueError(
                f"{where}: unknown field '{key}', expected one of {', '.join(fields)}{hint}"
            )
    for key in fields:
        if key in value:
            _fit(value[key], fields[key], f"{where}.{key}")
        elif key in kind.__required_keys__:
            raise ValueError(f"{where}: '{key}' is missing")


def _fit_union(value: Any, arguments: tuple[Any, ...], where: str) -> None:
    simple = [a for a in arguments if not typing.is_typeddict(a)]
    deep = [a for a in arguments if typing.is_typeddict(a)]
    if any(_is(value, a) for a in simple):
        return
    if deep and isinstance(value, dict):
        _fit(value, deep[0], where)
        return
    names = " or ".join([*("a mapping" for _ in deep), *map(_name, simple)])
    raise ValueError(f"{where}: is {_said(value)}, expected {names}")


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    names = {
        str: "text",
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        type(None): "None",
    }
    return names[kind]


def _said(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _places(part: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    """Every matrix must be [positions][layers]."""
    rows, columns = len(part["positions"]), len(part["layers"])
    if not rows or not columns:
        raise ValueError(f"{where}: needs at least one of 'positions' and of 'layers'")
    for name in names:
        table = part.get(name)
        if table is None:
            continue
        if len(table) != rows:
            raise ValueError(f"{where}.{name}: has {len(table)} rows for {rows} positions")
        for i, row in enumerate(table):
            if len(row) != columns:
                raise ValueError(f"{where}.{name}[{i}]: has {len(row)} values for {columns} layers")


def _grid(grid: dict[str, Any]) -> None:
    chosen = grid.get("chosen")
    if chosen is not None and not 0 <= chosen["position"] < len(grid["positions"]):
        last = len(grid["positions"]) - 1
        raise ValueError(
            f"report.grid.chosen.position: is {chosen['position']}, expected 0 to {last}"
        )
    if chosen is not None and chosen["layer"] not in grid["layers"]:
        raise ValueError(
            f"report.grid.chosen.layer: is {chosen['layer']}, expected one of {grid['layers']}"
        )
    metric = grid.get("null", {}).get("metric", "bypass")
    if metric not in _GRID:
        raise ValueError(
            f"report.grid.null.metric: is '{metric}', expected one of {', '.join(_GRID)}"
        )


def _rates(effect: dict[str, Any], where: str) -> None:
    for name in ("before", "after", "interval", "interval_before", "null"):
        given = effect.get(name)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not -1e-9 <= value <= 1 + 1e-9:
                raise ValueError(f"{where}.{name}: is {value}, expected a rate between 0 and 1")


def _effect(effect: dict[str, Any], where: str) -> None:
    for name in ("interval", "interval_before", "interval_change"):
        ends = effect.get(name)
        if ends is not None and (len(ends) != 2 or ends[0] > ends[1]):
            raise ValueError(f"{where}.{name}: is {ends}, expected [low, high]")
    if not 0 <= effect.get("p", 0) <= 1:
        raise ValueError(f"{where}.p: is {effect['p']}, expected a probability")
    if effect.get("unit", "rate") == "rate":
        _rates(effect, where)
    if effect.get("better", "same") not in WANTED:
        raise ValueError(
            f"{where}.better: is '{effect['better']}', expected one of {', '.join(WANTED)}"
        )
