"""docs/families.md: what the tests of the families measured, and nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FIGURES = ROOT / "build" / "families.json"
PAGE = ROOT / "docs" / "families.md"

COLUMNS = {
    "float64": "float64", "float32": "float32", "gradients": "gradients",
    "generation": "generation", "saved": "round trip",
}  # fmt: skip
LIMITS = {"float64": 1e-10, "float32": 1e-5, "gradients": 1e-8, "generation": 0.0, "saved": 0.0}

HEAD = """\
# Families

Written by the tests (`./dev families`), which compare random models of odd sizes with lifted
`transformers` {version}: the largest relative error, max|a - b| / max|b|, over every point and the
logits, and where it is. float64 and float32 are those of two seeds, the other columns of one.

- **float64**, **float32**: at most 1e-10 and 1e-5. In mixtures the chosen experts are compared
  separately and are the same.
- **gradients**: of a loss by every point that has one there (choices of experts aside), in float64:
  at most 1e-8.
- **generation**: greedy tokens of 128 that differ from `transformers`' own, in float64, with a
  cache.
- **round trip**: tensors whose bytes differ after an edit of nothing is committed.

"""


def record(name: str, knob: str, column: str, figure: float, where: str = "") -> None:
    """Keep the larger of what was measured in this session of tests."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    row = figures.setdefault(name, {}).setdefault(knob, {})
    before = row.get(column)
    if before is None or figure >= before[0]:
        row[column] = [figure, where]
    FIGURES.parent.mkdir(exist_ok=True)
    temporary = FIGURES.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(figures, sort_keys=True))
    temporary.replace(FIGURES)


def _cell(column: str, measured: list[object] | None) -> str:
    if measured is None:
        return ""
    figure, where = measured
    if LIMITS[column] == 0.0:
        return f"{figure:.0f}"
    return f"{figure:.1e} `{where}`" if where else f"{figure:.1e}"


def page(figures: dict[str, dict[str, dict[str, list[object]]]], version: str) -> str:
    """The page in Markdown."""
    lines = [
        "| family | setting | " + " | ".join(COLUMNS.values()) + " |",
        "|" + "---|" * (len(COLUMNS) + 2),
    ]
    for name in sorted(figures):
        for knob in sorted(figures[name]):
            row = figures[name][knob]
            cells = [_cell(column, row.get(column)) for column in COLUMNS]
            lines.append(f"| {name} | {knob} | " + " | ".join(cells) + " |")
    return HEAD.format(version=version) + "\n".join(lines) + "\n"


def main() -> None:
    import transformers

    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(json.loads(FIGURES.read_text()), transformers.__version__))
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
