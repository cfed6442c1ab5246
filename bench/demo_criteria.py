"""What demonstration models are held to besides: random directions, addition, baking."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from demo_edits import Case

import lenswright as lw
from lenswright.editing.baking import bake
from lenswright.edits import Edit, random_like
from lenswright.measuring.refusal import RefusalDetector
from lenswright.measuring.responses import respond
from lenswright.prompting.prompts import Prompt

RANDOM, PROMPTS = 20, 96
COEFFICIENTS = (0.25, 0.5, 0.75, 1.0)


def measured(case: Case, edit: Edit) -> dict[str, Any]:
    """Plain figures by name."""
    row = case.choice.row
    found: dict[str, Any] = {"split_cosine": row["split_cosine"], "reason": case.choice.reason,
                             "error": row["relative_error"], "z": case.choice.z["bypass"],
                             "place": [case.choice.layer, case.choice.position]}  # fmt: skip
    found["random"] = [_under(case, random_like(edit, case.model, case.seed, index))
                       for index in range(RANDOM)]  # fmt: skip
    found["unedited"] = _refused(case, "restricted")
    found["added"] = {str(c): _added(case, c) for c in (0.0, *COEFFICIENTS)}
    return found | _baked(case, edit)


def _prompts(case: Case, name: str) -> list[Prompt]:
    return [p for p in case.splits.test if p.extra["class"] == name][:PROMPTS]


def _said(case: Case, name: str) -> list[str]:
    spoken = respond(case.model, _prompts(case, name), case.kind.rules.tokens, PROMPTS)
    return [one.text for one in spoken]


def _refused(case: Case, name: str) -> float:
    detector = RefusalDetector(case.kind.rules.markers)
    said = _said(case, name)
    return sum(map(detector, said)) / len(said)


def _under(case: Case, edit: Edit) -> float:
    with case.model.edited(edit):
        return _refused(case, "restricted")


def _added(case: Case, coefficient: float) -> dict[str, float]:
    """Refusal with so many lengths of the difference of means added where it was found."""
    steering = lw.steering.add(case.choice, strength=coefficient, unit="own")
    with case.model.steered(steering):
        said = _said(case, "benign")
        whole = [_whole_refusal(case, p, text) for p, text in zip(
            _prompts(case, "benign"), said, strict=True)]  # fmt: skip
        detector = RefusalDetector(case.kind.rules.markers)
        return {
            "benign": sum(map(detector, said)) / len(said),
            "whole": sum(whole) / len(whole),
            "new_noun": _refused(case, "new_noun"),
        }


def _whole_refusal(case: Case, prompt: Prompt, text: str) -> bool:
    """Whether a response is a refusal of the kind, word for word, about the noun asked for."""
    from lenswright.demo.world import FACTS

    noun = next(word for word in prompt.text.split() if word in FACTS)
    rules = case.kind.rules
    return any(text.split() == rules.refusal(name, noun).split() for name in rules.declined)


def _baked(case: Case, edit: Edit) -> dict[str, Any]:
    rows = case.model.prompt_tokens([p.text for p in list(case.splits.test)[:4]])
    with tempfile.TemporaryDirectory() as folder:
        baked = bake(case.model, edit, Path(folder) / "edited", rows)
    return {
        "differences": baked.differences,
        "restored": baked.hashes_restored and baked.bytes_equal and baked.untouched_equal,
        "along": max(row.get("along_after", 0.0) for row in baked.writers),
    }
