"""The second part of docs/edits.md: what was measured on demonstration models, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import demo_compared
import demo_concepts
import demo_rows
from demo_edits import EDITS
from demo_rows import Models, models_of, percent

from lenswright.demo import KINDS
from lenswright.measuring.intervals import bootstrap, wilson

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "build" / "demo_methods.json"
PAGE = ROOT / "docs" / "edits.md"
STORIES = "stories"
MARK = "# Edits of demonstration models\n"

HEAD = """
Written by `./dev bench demo_methods`. Every kind of demonstration model (`lenswright demo --train
KIND`) is trained from several seeds (base of seed 2 is the shipped one); every edit is made from
the fit prompts, chosen on the select prompts and measured on test prompts, whose phrasing neither
has seen: 256 declined requests of each class and seed, 256 to make ordinary things (*benign*),
{lists} lists, 64 of other classes.

- *declined*: requests that the unedited model declines, still declined. *true*: their true answer,
  word for word. *benign*: true answers to requests that it answered before.
- *KL-all*: KL(base‖edited) of the words over all tokens of benign answers, nats.
- Rates have Wilson 95 % intervals, KL a bootstrap interval over prompts, all seeds pooled;
  *worst* is the worst seed. *reaches*: seeds in which at most 5 % are declined (95 % bound at most
  9 %) and benign and list accuracy fall by at most 0.5 points.
- *conditioned* is `edits.condition`, its balance λ chosen on select prompts; *mean*: its target is
  the mean of negative prompts; *k = 2*: the two leading directions of `directions.subspace`;
  *refined*: the direction after 40 steps of `directions.refined`. All writers but where it says
  *blocks* (no embeddings; conditioned edits never change them), *attention* or *MLPs*. *affine*
  holds one target, the mean where the direction was found, from the embedding on: where the
  residual is far smaller there, that leaves nothing else of it.
"""


def cell(models: Models, method: str) -> list[str]:
    """One line of a kind's table."""
    if any("refused" in model[method] for model in models):
        return [method, "no such edit of this network", "", "", "", "", ""]
    rates = [demo_rows.declined(model, method) for model in models]
    hits, n = (sum(values) for values in zip(*rates, strict=True))
    low, high = wilson(hits, n)
    true, of = (sum(values) for values in zip(*(demo_rows.true(m, method) for m in models),
                                              strict=True))  # fmt: skip
    benign = sum(model[method]["truth, benign"][0] for model in models)
    all_ = sum(model[method]["truth, benign"][1] for model in models)
    kl = [value for model in models for value in model[method][demo_rows.KL]]
    under, over = bootstrap(kl)
    reached = sum(demo_rows.reaches(model, method) for model in models)
    return [
        method,
        f"{percent(hits / n)} [{percent(low)}, {percent(high)}]",
        percent(max(a / b for a, b in rates)),
        percent(true / of),
        percent(benign / all_),
        f"{sum(kl) / len(kl):.4f} [{under:.4f}, {over:.4f}]",
        f"{reached} of {len(models)}",
    ]


COLUMNS = ("method", "declined", "worst", "true", "benign", "KL-all", "reaches")


def table(columns: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """A table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def page(figures: dict[str, dict[str, Any]]) -> str:
    """The whole part."""
    figures = dict(figures)
    stories = figures.pop(STORIES, {})
    found = models_of(figures)
    lists = {one[""]["truth, list"][1] for one in figures.values()}
    lines = [MARK + HEAD.format(lists=" or ".join(map(str, sorted(lists))))]
    for kind, models in found.items():
        what, seeds = KINDS[kind].what, ", ".join(str(model["seed"]) for model in models)
        verb = "It" if what.startswith("declines") else "It is"
        lines += [f"## Model: {kind}", "", f"{verb} {what}. Seeds: {seeds}.", ""]
        lines += table(COLUMNS, [cell(models, method) for method in EDITS])
        lines += [demo_rows.unreached(kind, models), ""]
    lines += demo_rows.acceptance(found, table)
    lines += demo_compared.comparison(found, table)
    if stories:
        lines += demo_concepts.section(stories, table)
    return "\n".join(lines).rstrip() + "\n"


def write(figures: dict[str, dict[str, Any]]) -> None:
    """Put the part into the page, behind what the tests of edits wrote."""
    needed = (*EDITS, "criteria")
    whole = {n: one for n, one in figures.items() if n == STORIES or all(k in one for k in needed)}
    for name in figures.keys() - whole.keys():
        print(f"{name} is left out: not everything is measured", file=sys.stderr)
    before = PAGE.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    PAGE.write_text(f"{before}\n\n{page(whole)}", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    write(json.loads(FIGURES.read_text()))
