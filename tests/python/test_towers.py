"""Models that also see: edits of the decoder leave every other tensor as it was."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
from families import ROWS, towers
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import LIMITS, random_tokens, rewrite

NAMES = [row.name for row in towers.ROWS]
TIED = {
    "gemma3": "linear, tied", "mistral3": "window, tied", "qwen2_vl": "late window, tied",
    "qwen2_5_vl": "late window, tied", "qwen3_vl": "tied",
}  # fmt: skip
SIGHT = ("vision_tower.", "multi_modal_projector.", "visual.")


def ablation(model):
    generator = torch.Generator().manual_seed(7)
    return lw.edits.ablate(model, torch.randn(model.cfg.d_model, generator=generator))


def is_sight(name):
    return name.removeprefix("model.").startswith(SIGHT)


def differing(before, after):
    """Names of tensors that differ between two files, or are in one only."""
    a, b = (load_file(folder / "model.safetensors") for folder in (before, after))
    return {
        n for n in a.keys() | b.keys() if n not in a or n not in b or not torch.equal(a[n], b[n])
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_carries_the_tower(family, tmp_path, name):
    folder, tokens = family(name), random_tokens(2, 9)
    model = lw.load(folder)
    edit = ablation(model)
    done = edit.commit(folder, tmp_path / "out", progress=False)
    changed = differing(folder, tmp_path / "out")
    assert changed == set(done.changed)
    assert len(changed) == 2 * model.cfg.n_layers + 1
    assert any(map(is_sight, load_file(folder / "model.safetensors")))
    assert not any(map(is_sight, changed))
    edit.apply(model)
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    assert relative_error(model(tokens), theirs) <= LIMITS["float32"]


@pytest.mark.parametrize("name", TIED)
def test_an_edit_unties_where_the_tower_says_so(family, tmp_path, name):
    folder, tokens = family(name, TIED[name]), random_tokens(2, 9)
    model = lw.load(folder, dtype="float64")
    assert model.cfg.tie_word_embeddings
    edit = ablation(model)
    edit.commit(folder, tmp_path / "out", progress=False)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    assert not any(map(is_sight, differing(folder, tmp_path / "out")))
    edit.apply(model)
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    assert relative_error(model(tokens), theirs) <= 1e-6  # what is committed is float32


@pytest.mark.parametrize("name", NAMES)
def test_names_as_transformers_5_first_wrote_them(family, tmp_path, name):
    """model.language_model.* and lm_head.weight, in every one of them."""
    folder, tokens = family(name), random_tokens(2, 9)
    expected = lw.load(folder)(tokens)
    older = tmp_path / "older"
    older.mkdir()
    for file in folder.iterdir():
        (older / file.name).write_bytes(file.read_bytes())

    def rename(tensors):
        for old in list(tensors):
            new = old
            if is_sight(old):
                new = "model." + old.removeprefix("model.")
            elif old.startswith("language_model.model."):
                new = "model.language_model." + old.removeprefix("language_model.model.")
            elif old.startswith("language_model."):
                new = old.removeprefix("language_model.")
            elif old.startswith("model.") and not old.startswith("model.language_model."):
                new = "model.language_model." + old.removeprefix("model.")
            tensors[new] = tensors.pop(old)

    rewrite(older, rename)
    names = load_file(older / "model.safetensors")
    assert "model.language_model.embed_tokens.weight" in names
    assert torch.equal(lw.load(older)(tokens), expected)
    theirs = Reference(older).points(tokens, ["logits"])["logits"]
    assert relative_error(expected, theirs) <= LIMITS["float32"]


def test_the_rows_are_all_towers():
    assert {ROWS[name].auto for name in NAMES} == {"AutoModelForImageTextToText"}
