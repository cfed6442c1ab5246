"""What a committed folder tells of its edit: a section of the model card, figures, hashes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
from editing import direction, file_hashes, stored_as
from lenswright import demo

Tiny = Callable[..., Path]

CARD = "---\nlicense: mit\n---\n# A model\n\nOf its makers.\n"


@pytest.mark.parametrize("card", [None, CARD, "no end of line"])
def test_a_section_is_added_and_taken_away(tiny: Tiny, tmp_path: Path, card: str | None) -> None:
    source = stored_as(tiny("llama-grouped"), tmp_path / "in", "bfloat16")
    if card is not None:
        (source / "README.md").write_text(card)
    before = file_hashes(source)
    for i in range(2):
        inner = tmp_path / ("in" if i == 0 else "1")
        edit = lw.edits.ablate(lw.load(inner), direction(lw.load(inner), i), strength=0.5)
        edit.commit(inner, tmp_path / f"{i + 1}", progress=False, journal=True)
    text = (tmp_path / "2" / "README.md").read_text()
    assert text.startswith(card or "<!-- lenswright, commit 1 -->")
    assert text.count("## Edited with Lenswright") == 2
    assert text.count("<!-- lenswright, commit 2 -->") == 1
    assert "| method | plain |" in text
    assert "| strength | 0.5 |" in text
    assert "lenswright revert" in text
    lw.edits.revert(tmp_path / "2", tmp_path / "back1", progress=False)
    assert file_hashes(tmp_path / "back1") == file_hashes(tmp_path / "1")
    lw.edits.revert(tmp_path / "back1", tmp_path / "back0", progress=False)
    assert file_hashes(tmp_path / "back0") == before


def test_an_edit_of_nothing_says_nothing(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    lw.edits.from_factors(lw.load(source), {}).commit(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out" / "README.md").exists()


def test_what_was_measured_is_written_down(tmp_path: Path) -> None:
    model, splits = embedded.model(), embedded.splits(8, 4, 6)
    edit = lw.edits.ablate(model, torch.ones(96, dtype=torch.float64))
    report = lw.measure(
        model, edit, splits.test, refusal=demo.REFUSAL_MARKERS, null=2, max_new_tokens=8,
        progress=False,
    )  # fmt: skip
    edit.commit(demo.MODEL, tmp_path / "out", progress=False, measured=report)
    step = json.loads((tmp_path / "out" / "lenswright.json").read_text())["steps"][0]
    told = step["measured"]
    assert told["sha256"] == {"test": splits.test.sha256}
    assert told["prompts"] == {"test": len(splits.test)}
    effects = {effect["name"]: effect for effect in report.data["effects"]}
    assert [row["name"] for row in told["effects"]] == list(effects)
    for row in told["effects"]:
        own = effects[row["name"]]
        assert (row["before"], row["after"]) == (own["before"], own["after"])
        assert row.get("interval") == own.get("interval")
        assert row["random"]["directions"] == 2
        assert row["random"]["greatest"] == max(own["null"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| refusal, restricted |" in card
    assert "| measure | before | after | interval | random |" in card
    assert step["card"] == "README.md"
    assert lw.edits.verify(tmp_path / "out", demo.MODEL, progress=False).ok


def test_hashes_of_every_split_stand_in_the_record(tmp_path: Path) -> None:
    from lenswright.story import Plan, tell

    splits = embedded.splits(24, 12, 8)
    plan = Plan(null=2, null_prompts=2, refusal=demo.REFUSAL_MARKERS, progress=False,
                max_new_tokens=8)  # fmt: skip
    told = tell(embedded.model(), splits, plan, tmp_path / "out")
    hashes = {part.role: part.sha256 for part in splits.parts}
    step = json.loads((tmp_path / "out" / "lenswright.json").read_text())["steps"][0]
    assert step["measured"]["sha256"] == hashes
    assert told.report.data["run"]["sha256"] == hashes
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| prompts to fit | SHA-256 `{hashes['fit']}` |" in card
    assert "| direction | `blocks." in card
