"""Every measure of a report is explained on its page, and in docs/report.md every field."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest

from lenswright.measuring.measurement import BETTER
from lenswright.report import FORMAT, Report, schema
from lenswright.report.glossary import COLUMNS, MEASURES

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def test_every_measure_has_a_meaning() -> None:
    assert set(BETTER) <= set(MEASURES)
    for title in MEASURES:
        assert f"| {title} |" in PAGE, title


def test_the_page_explains_what_it_shows() -> None:
    effects = [
        {"name": f"{title}, benign", "unit": "nats", "after": 0.5, "note": "perplexity 2"}
        for title in BETTER
    ]
    html = Report({"title": "t", "effects": effects}).to_html()
    assert "What the measures are" in html
    assert "perplexity 2" in html
    for title in MEASURES:
        assert (f">{title}</t" in html) == (title in BETTER), title
    assert all(text[:30].replace("'", "&#x27;") in html for text in COLUMNS.values())


def kinds() -> dict[str, Any]:
    found = {
        name: kind for name, kind in vars(schema).items()
        if typing.is_typeddict(kind) and not name.startswith("_")
    }  # fmt: skip
    assert len(found) > 10
    return found


@pytest.mark.parametrize("name", kinds())
def test_every_field_is_documented(name: str) -> None:
    section = PAGE.split(f"### {name}\n")[1].split("\n### ")[0]
    for field in typing.get_type_hints(kinds()[name]):
        assert f"| `{field}` |" in section, f"{name}.{field}"


def test_the_format_is_named() -> None:
    assert f'"{FORMAT}"' in PAGE
