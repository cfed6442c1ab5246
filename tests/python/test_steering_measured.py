"""Steerings measured as edits are: held-out prompts, random directions, forced answers."""

from __future__ import annotations

from typing import Any

import pytest

import embedded
import lenswright as lw

steering = lw.steering


def test_measured_beside_random_directions() -> None:
    model = embedded.model()
    splits = embedded.splits()
    stats = model.collect(splits.fit, points="resid_pre", positions="post_instruction")
    found = lw.directions.difference_of_means(stats)
    label = found.positions[-1]
    vector = found.vector("blocks.2.hook_resid_pre", label)
    edit = lw.edits.ablate(model, vector)
    value = steering.project(vector, layers="all", at="writes")
    how: dict[str, Any] = {
        "refusal": lw.demo.REFUSAL_MARKERS, "null": 2, "max_new_tokens": 12, "progress": False
    }  # fmt: skip
    reports = [lw.measure(model, change, splits.test, **how) for change in (edit, value)]
    tried, steered = ({e["name"]: e for e in r.data["effects"]} for r in reports)
    assert list(tried) == list(steered)
    for name, effect in tried.items():
        for key in ("before", "after"):
            if key in effect:
                assert steered[name][key] == pytest.approx(effect[key], abs=1e-4), name
    declined = steered["refusal, restricted"]
    assert declined["after"] < 0.5 < min(declined["null"])

    class Choice:
        provenance = {"fit": splits.test.provenance}  # noqa: RUF012

    Choice.vector, Choice.layer = vector, 2  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="was already used to fit"):
        lw.measure(model, steering.add(Choice(), 1.0), splits.test, **how)
