"""A run as one JSON file and one HTML page that holds everything it shows."""

from __future__ import annotations

import hashlib
import json
import os
from html import escape
from pathlib import Path
from typing import Any

from lenswright.plots.figure import Figure, write_whole
from lenswright.report.check import checked
from lenswright.report.page import page
from lenswright.report.parts import change
from lenswright.report.pictures import pictures
from lenswright.report.schema import ReportData

FORMAT = "lenswright report 1"
"""First field of every report.json. Fields are added under the same number; one that is taken away
or means something else raises it.
"""

VARYING = ("started", "seconds", "machine")
"""Facts of a run that differ although nothing that matters does."""


class Report:
    """What was looked at, tried, measured and baked.

    `data` is a mapping as `lenswright.report.schema.ReportData` describes it; only `title`, the
    finding in one sentence, is needed. Tensors and arrays are taken too. Raises ValueError that
    names the field, what it is and what was expected, with the nearest known name where one is
    misspelt.
    """

    def __init__(self, data: ReportData | dict[str, Any]) -> None:
        self.data: dict[str, Any] = checked(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """Reads a report.json, or the one in a folder. Raises FileNotFoundError or ValueError with
        the file's name.
        """
        path = Path(path)
        path = path / "report.json" if path.is_dir() else path
        text = path.read_text(encoding="utf-8")
        try:
            data = json.loads(text)
            if isinstance(data, dict) and (found := data.pop("format", FORMAT)) != FORMAT:
                raise ValueError(f"report.format: is {found!r}, expected {FORMAT!r}")
            return cls(data)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def to_json(self) -> str:
        """The data as JSON text."""
        data = {"format": FORMAT} | self.data
        return json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n"

    def to_html(self) -> str:
        """The page: no network, no fonts or scripts from elsewhere, light and dark; the same data
        gives the same text.
        """
        return page(self.data)

    def figures(self, width: float = 860) -> dict[str, Figure]:
        """The page's pictures by name (separation, split_half, grid, null, effects, equivalence).

        Only those that the data has values for; `width` is the room in pixels.
        """
        return {name: draw(width) for name, draw in pictures(self.data).items()}

    def digest(self) -> str:
        """SHA-256 of the JSON without the run's time and machine: equal for equal runs."""
        run = {key: value for key, value in self.data.get("run", {}).items() if key not in VARYING}
        text = json.dumps(
            {**self.data, "run": run}, ensure_ascii=True, allow_nan=False, sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page and its JSON; returns the page's path.

        `path` is a folder (report.html and report.json are written into it, it is made where it
        does not exist) or the name of an .html file (its JSON lies beside it). Each file appears
        whole or not at all.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            path = path / "report.html"
        write_whole(path.with_suffix(".json"), self.to_json())
        return write_whole(path, self.to_html())

    def _repr_html_(self) -> str:
        frame = "width:100%;height:80vh;min-height:480px;border:0;border-radius:8px"
        page_ = escape(self.to_html())
        return f'<iframe title="Lenswright report" style="{frame}" srcdoc="{page_}"></iframe>'

    def __repr__(self) -> str:
        rows = self.data.get("criteria", [])
        lines = [f"Report: {self.data['title']}"]
        lines += [
            f"  {effect['name']}: {change(effect)}" for effect in self.data.get("effects", [])
        ]
        if rows:
            reached = sum(row.get("passed") is True for row in rows)
            lines.append(f"  {reached} of {len(rows)} criteria reached")
        return "\n".join(lines)


__all__ = ["Report", "ReportData"]
