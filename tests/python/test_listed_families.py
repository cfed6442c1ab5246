"""What the lists of families claim: a parity row for each, and counts that are right."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import lenswright as lw
from families import ROWS
from support import random_tokens

ROOT = Path(__file__).parents[2]
ARCHITECTURES = {row.architecture for row in ROWS.values()}

ALIASES = {"PhiMoEForCausalLM": "phimoe"}
"""{architecture: the row it is another name for}: published files keep their authors' name."""

TOWERS = ["llava", "mistral3"]
"""Rows of architectures that stand before several kinds of decoder."""


def changed(folder, to, **changes):
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | changes))
    return to


def test_every_architecture_has_a_row_or_is_an_alias_of_one():
    assert set(lw._files.families()) == ARCHITECTURES | set(ALIASES)
    assert not ARCHITECTURES & set(ALIASES)


@pytest.mark.parametrize(
    ("alias", "knob"),
    [(alias, knob) for alias in ALIASES for knob in ROWS[ALIASES[alias]].variants()],
)
def test_an_alias_is_read_as_what_it_stands_for(family, tmp_path, alias, knob):
    folder = family(ROWS[ALIASES[alias]].name, knob)
    models = [lw.load(f) for f in (folder, changed(folder, tmp_path / "m", architectures=[alias]))]
    assert models[0].spec == models[1].spec
    one, other = (model.run_with_cache(random_tokens(2, 11))[1] for model in models)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def decoders_in(architecture):
    """The kinds of decoder that an architecture may stand before; none where it is of one kind."""
    config = {"architectures": [architecture], "text_config": {"model_type": "none"}}
    try:
        lw._files.read_spec(json.dumps(config))
    except ValueError as refusal:
        if "decoders known in" in str(refusal):
            return set(str(refusal).rpartition(": ")[2].split(", "))
    return set()


def test_every_decoder_of_a_tower_is_a_setting_of_its_row():
    rows = {row.architecture: row for row in ROWS.values()}
    several = {name: kinds for name in rows if (kinds := decoders_in(name))}
    assert set(several) == {ROWS[name].architecture for name in TOWERS}
    for architecture, kinds in several.items():
        row = rows[architecture]
        texts = [row.settings(knob)["text_config"] for knob in row.variants()]
        assert {text["model_type"] for text in texts} == kinds


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_counts_of_families_are_right(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.findall(r"\b(\d+) (?:decoders|architectures)\b", text) == [
        str(len(lw._files.families()))
    ]
