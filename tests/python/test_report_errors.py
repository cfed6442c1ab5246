"""A report's data: what is wrong is named with its field and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lenswright.report import Report
from report_sample import sample


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change that sets the field at a dotted path."""

    def change(data: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            data = data[int(step) if step.isdigit() else step]
        data[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("title"), "report: 'title' is missing"),
        (put("titel", "x"), "report: unknown field 'titel', .*; did you mean 'title'"),
        (put("title", 3), "report.title: is 3, expected text"),
        (put("model.layers", 2.5), "report.model.layers: is 2.5, expected a whole number"),
        (put("model.layers", True), "report.model.layers: is True, expected a whole number"),
        (put("effects.0.intervall", [0, 1]), r"effects\[0\]: unknown field .*mean 'interval'"),
        (put("effects.0.interval", [0.5, 0.1]), r"effects\[0\].interval: is .*expected \[low, "),
        (put("effects.0.after", 55.1), r"effects\[0\].after: is 55.1, expected a rate between"),
        (put("effects.0.null", [0.5, 2]), r"effects\[0\].null: is 2, expected a rate"),
        (put("effects.0.after", None), r"effects\[0\].after: is None, expected a number"),
        (put("effects.0.better", "up"), r"effects\[0\].better: is 'up', expected one of lower"),
        (put("effects.1", {"name": "x"}), r"effects\[1\]: 'after' is missing"),
        (put("grid.kl.0.1", float("nan")), r"grid.kl\[0\]\[1\]: is nan, expected a finite number"),
        (put("grid.kl.0", [1]), r"grid.kl\[0\]: has 1 values for 3 layers"),
        (put("grid.bypass", [[1, 2, 3]]), r"grid.bypass: has 1 rows for 2 positions"),
        (put("grid.chosen.layer", 9), r"grid.chosen.layer: is 9, expected one of \[0, 1, 2\]"),
        (put("grid.chosen.position", 2), "grid.chosen.position: is 2, expected 0 to 1"),
        (put("grid.null.metric", "bypas"), "grid.null.metric: is 'bypas', expected one of bypass"),
        (put("separation.layers", []), "report.separation: needs at least one"),
        (put("separation.positions", "ab"), "separation.positions: is 'ab', expected a list"),
        (put("texts.0.before", 3), r"texts\[0\].before: is 3, expected a mapping or text"),
        (put("texts.0.before", {"txt": "a"}), r"texts\[0\].before: unknown field 'txt'.*'text'"),
        (put("edit.method", [1]), r"edit.method: is \[1\], expected text or .*None"),
        (put("notes", "x"), "report.notes: is 'x', expected a list"),
        (put("notes.0", object()), r"report.notes\[0\]: is object, expected a plain JSON value"),
        (lambda d: d["model"].update({1: 2}), "report.model: the key 1 is int, expected text"),
    ],
)  # fmt: skip
def test_errors_name_the_field(change: Callable[[dict[str, Any]], None], message: str) -> None:
    data = sample()
    change(data)
    with pytest.raises(ValueError, match=message):
        Report(data)
