"""A committed folder against its record: what was tampered with is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import lenswright as lw
from editing import (
    journalled,
    tampered,
)

Tiny = Callable[..., Path]


@pytest.fixture
def edited(tiny: Tiny, tmp_path: Path) -> Path:
    return journalled(tiny, tmp_path)


def test_a_tampered_tensor_is_named(edited: Path, tmp_path: Path) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    tampered(edited, name)
    with pytest.raises(lw.CheckpointError, match=name):
        lw.edits.revert(edited, tmp_path / "back", progress=False)
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob(".*"))
    for base in (None, tmp_path / "in"):
        found = lw.edits.verify(edited, base, progress=False)
        assert not found.ok
        assert list(found.wrong) == [name]


def test_an_untouched_tensor_is_named_beside_the_base(edited: Path, tmp_path: Path) -> None:
    tampered(edited, "model.norm.weight")
    assert lw.edits.verify(edited, progress=False).ok
    found = lw.edits.verify(edited, tmp_path / "in", progress=False)
    assert list(found.wrong) == ["model.norm.weight"]
    assert "no commit edited it" in found.wrong["model.norm.weight"]


def test_another_base_is_refused(edited: Path, tmp_path: Path) -> None:
    tampered(tmp_path / "in", "model.layers.0.self_attn.o_proj.weight")
    with pytest.raises(ValueError, match=r"layers.0.self_attn.o_proj.weight.*not the one"):
        lw.edits.verify(edited, tmp_path / "in", progress=False)


def test_factors_that_were_changed_are_found_out(edited: Path, tmp_path: Path) -> None:
    record = json.loads((edited / "lenswright.json").read_text())
    part = next(p for p in record["steps"][0]["factors"]["parts"] if "factors" in p)
    text = part["factors"]["U"]["f64"]
    part["factors"]["U"]["f64"] = ("B" if text[3] == "A" else "A").join((text[:3], text[4:]))
    (edited / "lenswright.json").write_text(json.dumps(record))
    for call in (lw.edits.verify, lambda folder: lw.edits.revert(folder, tmp_path / "back")):
        with pytest.raises(ValueError, match="has factors of another edit"):
            call(edited)
