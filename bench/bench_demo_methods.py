"""Every edit method on every kind of demonstration model, three seeds each, into docs/edits.md.

Each kind is trained from each seed (or found in the cache), every edit is made from the fit and
select prompts, and measured on the test prompts. What was measured is kept in
build/demo_methods.json, so that a run that was stopped goes on; the page is written at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import demo_criteria
import demo_page
import demo_rows
import demo_stories
import torch
from demo_edits import EDITS, Case

from lenswright.demo import KINDS
from lenswright.measuring.behaviour import Bench, Outcome
from lenswright.measuring.refusal import RefusalDetector
from lenswright.prompting.prompt_sets import Prompt, PromptSet

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "build" / "demo_methods.json"
SEEDS = (1, 2, 3)
BESIDES = 64
COMPARED = tuple(name for name, kind in KINDS.items() if not kind.of)


def numbers(outcome: Outcome) -> dict[str, Any]:
    """What the page needs: counts of rates, and every number of other measures."""
    kept: dict[str, Any] = {}
    for name, (unit, values) in outcome.values.items():
        if unit == "rate":
            kept[name] = [round(sum(values)), len(values)]
        elif name in (demo_rows.KL, demo_rows.FIRST, demo_rows.LOSS):
            kept[name] = [float(f"{value:.3g}") for value in values]
    return kept


def fewer(case: Case) -> PromptSet:
    """The test prompts, and of classes that are reported besides `BESIDES` each."""
    counts: Counter[str] = Counter()
    kept: dict[str, list[Prompt]] = {"positive": [], "negative": []}
    for side, own in kept.items():
        for prompt in case.splits.test.of(side):
            name = str(prompt.extra["class"])
            counts[name] += 1
            whole = name in (*case.kind.rules.declined, "benign", "list")
            if whole or counts[name] <= BESIDES:
                own.append(prompt)
    return PromptSet("test", kept["positive"], kept["negative"])


def measured(case: Case, done: dict[str, Any]) -> dict[str, Any]:
    """Every edit of one model that is not done yet."""
    bench = Bench(
        case.model, fewer(case), RefusalDetector(case.kind.rules.markers), None,
        case.kind.rules.tokens, 256, {}, {},
    )  # fmt: skip
    found: dict[str, Any] = {"": numbers(bench.base)} | done
    for name, make in EDITS.items():
        if "refused" not in found.get(name, {"refused": ""}):
            continue
        start = time.perf_counter()
        try:
            edit = make(case)
        except ValueError as error:  # there is no such edit of this network: the page says so
            found[name] = {"refused": str(error)}
            print(f"{case.kind.name:16}{case.seed:3}  {name:22}refused: {error}", flush=True)
            continue
        made = time.perf_counter() - start
        found[name] = numbers(bench.outcome(edit)) | {"seconds": round(made, 2)}
        print(f"{case.kind.name:16}{case.seed:3}  {name:22}{told(found[name])}", flush=True)
    if "criteria" not in found:
        found["criteria"] = demo_criteria.measured(case, EDITS["plain"](case))
    return found


def keep(figures: dict[str, Any]) -> None:
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(figures))


def told(row: dict[str, Any]) -> str:
    refused, n = row["refusal, restricted"]
    true, _ = row["truth, restricted"]
    kl = torch.tensor(row["KL(base‖edited), benign"]).mean()
    return f"refusal {refused / n:6.1%}  true {true / n:6.1%}  KL {kl:.4f}  {row['seconds']} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="*", default=list(COMPARED), choices=COMPARED)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="folder with TinyStories-656K and contrast; left out where absent",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in arguments.kinds:
        for seed in arguments.seeds:
            case = Case.of(KINDS[name], seed)
            place = f"{name} {seed}"
            old = figures.get(place, {})
            # Of other weights nothing is kept.
            done = old if old.get("folder") == case.folder.name else {}
            figures[place] = measured(case, done) | {
                "folder": case.folder.name, "seed": seed,
            }  # fmt: skip
            keep(figures)
    if arguments.data.is_dir():
        figures[demo_page.STORIES] = demo_stories.measured(arguments.data)
        keep(figures)
    demo_page.write(figures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
