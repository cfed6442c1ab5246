"""docs/edits.md: what the tests of edits measured, and nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from edit_methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "build" / "edits.json"
PAGE = ROOT / "docs" / "edits.md"

MORE = ("add", "affine", "leace", "conditioned", "sum", "composition")
"""Edits that are no method of `ablate`."""

COLUMNS = (*METHODS, *MORE)

HEAD = """\
# Edits

Written by the tests (`./dev edits`) on random models of odd sizes, one of every family, with
settings that matter to what writes to the residual stream and with experts stored one by one and
all in one tensor ("fused"). Every cell is the largest relative difference, max|a - b| / max|b|.

What each method does to a weight is in `help(lenswright.edits.ablate)`; that the applied weights
are that formula, written plainly in float64, is tested in `test_edit_methods.py` (to 1e-12).
In models stored in float32 applied and committed weights are the same bytes, and every
tensor that an edit does not name is the file's; otherwise there would be no cell.

"""

TABLES = {
    "float64": (
        "## Tried is applied, in float64\n\n"
        "Logits and every point of a run with the edit as factors against one with edited "
        "weights: at most 1e-12.\n",
        1e-12,
    ),
    "float32": (
        "## Tried is applied, in float32\n\n"
        "The same of models stored and run in float32: at most 1e-5.\n",
        1e-5,
    ),
    "transformers": (
        "## Committed, read by `transformers`\n\n"
        "Logits of the committed folder, `transformers` in lifted float64 against ours: at most "
        "1e-10.\n",
        1e-10,
    ),
}


DEMONSTRATIONS = "# Edits of demonstration models\n"
"""What the second part of the page begins with, which bench_demo_methods.py writes."""


def record(table: str, family: str, column: str, figure: float) -> None:
    """Keep the larger of what was measured in this session of tests."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    row = figures.setdefault(table, {}).setdefault(family, {})
    row[column] = max(figure, row.get(column, 0.0))
    FIGURES.parent.mkdir(exist_ok=True)
    temporary = FIGURES.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(figures, sort_keys=True))
    temporary.replace(FIGURES)


def title(name: str, knob: str, fused: bool) -> str:
    """A case as the tables name it."""
    return ", ".join(part for part in (name, knob, "fused" if fused else "") if part)


def page(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The page in Markdown."""
    lines = []
    for table, (head, _) in TABLES.items():
        rows = figures.get(table, {})
        lines += [
            head,
            "| family | " + " | ".join(COLUMNS) + " |",
            "|" + "---|" * (len(COLUMNS) + 1),
        ]
        for family in sorted(rows):
            cells = [f"{rows[family][c]:.0e}" if c in rows[family] else "" for c in COLUMNS]
            lines.append(f"| {family} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [WITHOUT]
    return HEAD + "\n".join(lines)


WITHOUT = """\
## Where a cell is empty

- `affine`, `leace`: OPT-350m norms the sum of residual and branch, which turns what was written;
  XGLM computes its positions, and what they add along the direction is nobody's to edit. The edit
  is refused there, and says so.
- "Committed, read by `transformers`" has one row a family and layout; settings are measured in the
  tables above, and of plain edits in `test_edits_families.py`.
"""


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    _, mark, rest = old.partition(DEMONSTRATIONS)  # another part, by ./dev bench demo_methods
    text = page(json.loads(FIGURES.read_text()))
    PAGE.write_text(text + ("\n" + mark + rest if mark else ""), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
