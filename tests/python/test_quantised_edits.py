"""Edits of quantised checkpoints: tried, applied in bfloat16, committed as bfloat16 throughout."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import lenswright as lw
from editing import committed_hashes, direction, hashes
from lenswright.editing.baking import bake, one_rounding, relative
from quantised_editing import CASES, quantised_case, stored_in
from support import random_tokens


@pytest.fixture
def checkpoint(family, tmp_path):
    """checkpoint(case): a quantised checkpoint of the test's own."""
    return partial(quantised_case, family, tmp_path)


def watched(model, tokens):
    """Logits, and every choice of experts: [batch, pos, all that were chosen]."""
    choices = [name for name in model.points() if name.endswith("hook_expert_indices")]
    logits, cache = model.run_with_cache(tokens, names_filter=choices or ["hook_embed"])
    chosen = [cache[name].sort(-1).values for name in choices]
    return logits, torch.cat(chosen or [tokens[..., None]], -1)


def apart(one, other):
    """How far logits lie apart, of tokens whose past and own choices of experts are the same."""
    alike = (one[1] == other[1]).all(-1).cumprod(-1).bool()
    assert alike.float().mean() > 0.5  # what is rounded may choose otherwise, but rarely
    return relative(one[0][alike], other[0][alike])


@pytest.mark.parametrize("case", CASES)
def test_tried_applied_committed(checkpoint, tmp_path, case, record_property):
    folder, out = checkpoint(case), tmp_path / "out"
    model, tokens = lw.load(folder, dtype="float64"), random_tokens(24, 5)
    before, plain = hashes(model), watched(model, tokens)
    edit = lw.edits.ablate(model, direction(model))
    with model.edited(edit):
        tried = watched(model, tokens)
    done = edit.commit(folder, out, progress=False)
    edit.apply(model)
    applied, held = watched(model, tokens), hashes(model)
    written = committed_hashes(out)
    assert all(held[name] == written[name] for name in done.changed)
    edit.revert(model)
    assert hashes(model) == before
    assert torch.equal(model(tokens), plain[0])
    committed = watched(lw.load(out, dtype="float64"), tokens)
    bound = one_rounding(stored_in(out), done.changed)
    assert bound == 4 * torch.finfo(torch.bfloat16).eps
    found = apart(applied, tried), apart(committed, tried)
    record_property("applied and committed from tried", "{:.1e} {:.1e}".format(*found))
    assert relative(tried[0], plain[0]) > bound  # the edit is seen
    assert max(found) <= bound


def test_an_edit_knows_scales_as_well_as_codes(checkpoint, tmp_path):
    from support import rewrite

    folder = checkpoint("llama")
    edit = lw.edits.ablate(lw.load(folder), direction(lw.load(folder)))

    def change(tensors):
        tensors["model.layers.0.self_attn.o_proj.weight_scale_inv"] *= 2

    rewrite(folder, change)
    with pytest.raises(ValueError, match=r"o_proj\.weight.*SHA-256"):
        edit.commit(folder, tmp_path / "out", progress=False)
    with pytest.raises(ValueError, match=r"o_proj\.weight.*SHA-256"):
        edit.apply(lw.load(folder))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["llama", "gpt_oss", "qwen3_moe fused"])
def test_baking_compares_every_way(checkpoint, tmp_path, case):
    folder = checkpoint(case)
    model = lw.load(folder)
    edit = lw.edits.ablate(model, direction(model))
    baked = bake(model, edit, tmp_path / "out", random_tokens(2, 7).tolist())
    assert baked.hashes_restored
    assert baked.bytes_equal
    assert baked.untouched_equal
    assert baked.dequantised is not None
    comparisons = baked.equivalence["comparisons"]
    assert all(c["difference"] <= c["demand"] for c in comparisons), comparisons
    edited = [row for row in baked.writers if row["edited"]]
    assert all(row["along_after"] <= 5e-3 < row["along_before"] for row in edited)
    assert "tensors written in BF16 that were" in str(baked.equivalence["facts"])


def test_a_number_beyond_bfloat16_is_refused(checkpoint, tmp_path):
    from support import rewrite

    folder = checkpoint("gpt_oss")
    name = "model.layers.2.mlp.experts.gate_up_proj_scales"

    def change(tensors):
        tensors[name][1, 3, 0] = 254

    rewrite(folder, change)
    model = lw.load(folder)
    edit = lw.edits.ablate(model, direction(model))
    with pytest.raises(ValueError, match=f"{name}.*beyond BF16"):
        edit.commit(folder, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
