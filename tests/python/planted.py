"""Faults planted in trained models, what the self-test said of them, and the page that tells it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lenswright import _core
from lenswright.model import Model
from lenswright.selftest.scan import reread, scan

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "build" / "planted.json"
PAGE = ROOT / "docs" / "verify.md"

HEAD = """\
# What the self-test catches

Written by the tests (`./dev faults`). Each fault is a model read as if a row of its family, or one
number of its spec, had been written wrong; the knob scan of `lenswright verify` then has to name
the knob. Figures are losses in nats a token on the scan's text: with the fault, and with the
reading that the scan found best; where how far a layer sees was at stake, of the tokens beyond.
The tiny models are trained by the tests, in seconds, with numbers of their own (soft caps, windows,
multipliers); the faults planted in them drop these numbers or put the field's usual ones in their
place, and the scan finds the way back in what config.json states.

Two of its ways back are told but never held against a model that may be read right: what helps no
more than a temperature does (a cap or scale of the logits that config.json does not state), since
models are over- or undersure of a text; and a window that config.json does not state, since it
helps any model that was trained on shorter rows.

"""


def plant(model: Model, name: str, text: str | None = None) -> dict[str, Any]:
    """What the scan says of a model with one misreading planted, reading a text."""
    knob = next(k for k, _, known in _core.misreadings(model.core) if known == name)
    found = scan(reread(model, [name]), text)
    better = found.better()
    return {
        "named": bool(better) and better[0].knob == knob,
        "loss": better[0].read if better else found.loss,
        "best": better[0].loss if better else found.loss,
        "by": better[0].name if better else "",
    }


def record(model: str, fault: str, outcome: dict[str, Any]) -> None:
    """Keep an outcome for the page."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures.setdefault(model, {})[fault] = outcome
    FIGURES.parent.mkdir(exist_ok=True)
    temporary = FIGURES.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(figures, sort_keys=True))
    temporary.replace(FIGURES)


def uncaught(figures: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Faults that no model's scan named."""
    faults = {fault for outcomes in figures.values() for fault in outcomes}
    caught = {f for outcomes in figures.values() for f, o in outcomes.items() if o["named"]}
    return sorted(faults - caught)


def page(figures: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The page in Markdown."""
    lines = []
    for model in sorted(figures):
        outcomes = figures[model]
        named = sum(o["named"] for o in outcomes.values())
        lines += [f"## {model}: {named} of {len(outcomes)} faults named", ""]
        lines += ["| fault | loss with it | best | named |", "|---|---|---|---|"]
        for fault in sorted(outcomes):
            o = outcomes[fault]
            answer = "yes" if o["named"] else f"no, but {o['by']}" if o["by"] else "no"
            lines.append(f"| {fault} | {o['loss']:.3f} | {o['best']:.3f} | {answer} |")
        lines.append("")
    lines += ["## Faults that no scan named", ""]
    lines += [f"- {fault}" for fault in uncaught(figures)] or ["None."]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(json.loads(FIGURES.read_text())), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
