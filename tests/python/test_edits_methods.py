"""Every method of edits in every family: tried = applied = committed = what transformers reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import edit_table
import lenswright as lw
import wordy
from edit_methods import METHODS, directions, others
from editing import committed_hashes, direction, hashes
from editing_families import CASES, TRIED, Family, prepared
from lenswright.edits import BLOCK_WRITERS
from lenswright.prompting.prompts import Prompt, PromptSet
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

every_case = pytest.mark.parametrize(
    ("name", "knob", "fused"), CASES, ids=[f"{n}-{k}{'-fused' if f else ''}" for n, k, f in CASES]
)


TEXTS = [Prompt(text) for text in wordy.sentences(24, seed=11)]
FIT = PromptSet("fit", TEXTS[:12], TEXTS[12:])


def edits_of(model: lw.Model) -> dict[str, lw.edits.Edit]:
    """An edit of every column of the page, where the architecture allows it."""
    v, other = directions(model), others(model)
    edits = {name: method.make(model, v, other) for name, method in METHODS.items()}
    edits["add"] = lw.edits.add(model, v[0], 0)
    if model.spec["norms"] != "behind" and model.spec["position"] != "sinusoidal":
        edits["affine"] = lw.edits.affine(model, v, direction(model, 9))
        edits["leace"] = lw.edits.leace(model, v, other, direction(model, 9))
    edits["conditioned"] = lw.edits.condition(
        model, v[0], FIT, positions="last", progress=False, writers=BLOCK_WRITERS
    )
    edits["sum"] = edits["plain"] + edits["row_norm"].restrict(layers=[0, 1])
    edits["composition"] = edits["row_norm"].then(edits["write_norm"])
    return edits


@pytest.mark.parametrize("dtype", TRIED)
@every_case
def test_tried_is_applied_is_committed(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool, dtype: str
) -> None:
    source = wordy.add_tokenizer(prepared(family, tmp_path, (name, knob, fused), dtype))
    model = lw.load(source, dtype=dtype)
    tokens = random_tokens(2, 9)
    plain = model(tokens)
    before, files = hashes(model), committed_hashes(source)
    for label, edit in edits_of(model).items():
        with model.edited(edit):
            tried, seen = model.run_with_cache(tokens)
        edit.apply(model)
        applied, there = model.run_with_cache(tokens)
        weights = hashes(model)
        edit.revert(model)
        assert hashes(model) == before
        assert relative_error(applied, plain) > 1e-4, f"{label} does nothing"
        errors = {point: relative_error(seen[point], value) for point, value in there.items()}
        worst = max([relative_error(tried, applied), *errors.values()])
        assert worst < TRIED[dtype], label
        if dtype == "float32":
            done = edit.commit(source, tmp_path / "out", progress=False)
            found = committed_hashes(tmp_path / "out")
            assert {n: h for n, h in found.items() if n in weights} == weights, label
            rest = set(files) - set(done.changed)
            assert {n: found[n] for n in rest} == {n: files[n] for n in rest}
            shutil.rmtree(tmp_path / "out")
        edit_table.record(dtype, edit_table.title(name, knob, fused), label, worst)


@pytest.mark.parametrize(
    ("name", "fused"), [(n, f) for n, k, f in CASES if not k],
    ids=[f"{n}{'-fused' if f else ''}" for n, k, f in CASES if not k],
)  # fmt: skip
def test_transformers_reads_what_was_committed(
    family: Family, tmp_path: Path, name: str, fused: bool
) -> None:
    source = wordy.add_tokenizer(prepared(family, tmp_path, (name, "", fused)))
    model = lw.load(source)
    tokens = random_tokens(2, 9)
    for label, edit in edits_of(model).items():
        edit.commit(source, tmp_path / "out", progress=False)
        theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
        ours = lw.load(tmp_path / "out")(tokens)
        with model.edited(edit):
            assert relative_error(model(tokens), ours) < 1e-12, label
        error = relative_error(ours, theirs)
        assert error < 1e-10, label
        shutil.rmtree(tmp_path / "out")
        edit_table.record("transformers", edit_table.title(name, "", fused), label, error)


def test_edits_change_no_number_when_they_are_over(family: Family, tmp_path: Path) -> None:
    model = lw.load(wordy.copy(family("llama"), tmp_path / "in"))
    tokens = random_tokens(1, 5)
    before = model(tokens)
    for edit in edits_of(model).values():
        with model.edited(edit), torch.no_grad():
            model(tokens)
        assert same(model(tokens), before)
