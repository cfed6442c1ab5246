"""Edits of every family: all that writes is reached, tried = applied = committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
from editing import committed_hashes, direction, file_hashes, hashes, matrix_of
from editing_families import (
    CASES,
    KNOBS,
    MIXTURES,
    NORM_AFTER,
    TRIED,
    Family,
    edits_of,
    prepared,
)
from families import ROWS
from lenswright import _files
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

every_case = pytest.mark.parametrize(
    ("name", "knob", "fused"), CASES, ids=[f"{n}-{k}{'-fused' if f else ''}" for n, k, f in CASES]
)


def test_every_row_is_here() -> None:
    assert set(KNOBS) | MIXTURES | NORM_AFTER <= set(ROWS)
    missing = {row.architecture for row in ROWS.values()} - set(_files.families())
    assert not missing, "families that cannot be loaded"


def routed_alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    names = [name for name in first if name.endswith("hook_expert_indices")]
    return all(torch.equal(first[name], second[name]) for name in names)


# --- what writes ---
@every_case
def test_writers_are_all_that_writes(family: Family, name: str, knob: str, fused: bool) -> None:
    model = lw.load(family(name, knob, fused=fused))
    writers = {writer["name"]: writer for writer in model.writers()}
    weights = model.weights()
    width = model.cfg.d_model
    written = {n for n in weights if n.endswith(("attn.W_O", "mlp.W_out"))}
    written |= {n for n in weights if ".mlp.experts." in n and n.endswith("W_out")}
    written |= {n for n in weights if n.endswith("mlp.shared.W_out")}
    first = ("embed.W_E", "embed.W_proj", "embed.ln.b", "pos_embed.W_pos")
    written |= {n for n in first if n in weights}
    if "embed.W_proj" in weights:
        written.remove("embed.W_E")
    assert set(writers) == written
    kinds = {writer["kind"] for writer in writers.values()}
    assert ("expert" in kinds) == (name in MIXTURES)
    assert fused <= any(w["slice"] >= 0 for w in writers.values())
    stored = model.parameters()
    for writer in writers.values():
        matrix = matrix_of(stored[writer["weight"]], writer)
        assert matrix.shape[writer["residual_axis"]] == width, writer["name"]
        bias = writer["name"].replace("W_", "b_")
        assert bool(writer["bias"]) == (bias != writer["name"] and bias in weights), writer
        assert writer["point"] in model.points()
        assert (writer["expert"] >= 0) == (writer["kind"] == "expert")
        if writer["layer"] >= 0:
            assert bool(writer["norm"]) == (name in NORM_AFTER)


# --- tried = applied ---
@pytest.mark.parametrize("dtype", TRIED)
@every_case
def test_tried_is_applied(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool, dtype: str
) -> None:
    model = lw.load(prepared(family, tmp_path, (name, knob, fused), dtype), dtype=dtype)
    tokens = random_tokens(3, 9)
    plain = model(tokens)
    before = hashes(model)
    for edit in edits_of(model).values():
        with model.edited(edit):
            tried, seen = model.run_with_cache(tokens)
        assert same(model(tokens), plain), "a trial changed a weight"
        edit.apply(model)
        assert edit.is_applied(model)
        applied, there = model.run_with_cache(tokens)
        edit.revert(model)
        assert hashes(model) == before
        assert relative_error(tried, applied) < TRIED[dtype]
        assert relative_error(applied, plain) > 1e-3, "the edit does nothing"
        assert routed_alike(seen, there)
        for point, value in there.items():
            assert relative_error(seen[point], value) < TRIED[dtype], point


# --- applied = committed, everything else untouched ---
@every_case
def test_committed_is_applied(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool
) -> None:
    source = prepared(family, tmp_path, (name, knob, fused), "bfloat16", shards=2)
    model = lw.load(source)
    original, before = file_hashes(source), committed_hashes(source)
    tokens = random_tokens(2, 8)
    for label, edit in edits_of(model).items():
        out = tmp_path / label
        done = edit.commit(source, out, progress=False, journal=True)
        edit.apply(model)
        after = committed_hashes(out)
        applied = hashes(model)
        assert {n: h for n, h in after.items() if n in applied} == applied
        touched = set(edit.bases)
        assert set(done.changed) == touched
        assert all(pair == (before[n], after[n]) for n, pair in done.changed.items())
        assert {n: h for n, h in after.items() if n not in touched | {done.added}} == {
            n: h for n, h in before.items() if n not in touched
        }
        assert same(lw.load(out)(tokens), model(tokens))
        edit.revert(model)
        assert hashes(model) == {n: h for n, h in before.items() if n in hashes(model)}
        assert lw.edits.verify(out, source, progress=False).ok
        lw.edits.revert(out, tmp_path / f"{label} back", progress=False)
        assert file_hashes(tmp_path / f"{label} back") == original
    assert file_hashes(source) == original


@every_case
def test_transformers_agrees(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool
) -> None:
    source = prepared(family, tmp_path, (name, knob, fused), "float32")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)))
    done = edit.commit(source, tmp_path / "out", progress=False)
    tokens = random_tokens(2, 9)
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    ours = lw.load(tmp_path / "out", dtype="float64")
    assert relative_error(ours(tokens), theirs) < 1e-10
    base = lw.load(source, dtype="float64")
    assert relative_error(theirs, base(tokens)) > 1e-3
    config = json.loads((source / "config.json").read_text())
    if base.spec["tied"] and any(w["kind"] == "token_embedding" for w in base.writers()):
        assert done.added is not None
        assert not ours.spec["tied"]
        written = json.loads((tmp_path / "out/config.json").read_text())
        assert written.pop("tie_word_embeddings") is False
        config.pop("tie_word_embeddings", None)
        for one in (written, config):
            one.get("text_config", {}).pop("tie_word_embeddings", None)
        assert written == config
    else:
        assert done.added is None
        assert (tmp_path / "out/config.json").read_text() == (source / "config.json").read_text()


# --- nothing is left ---
@every_case
def test_nothing_is_left_along_the_direction(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool
) -> None:
    source = prepared(family, tmp_path, (name, knob, fused), "float32")
    model = lw.load(source)
    edit = lw.edits.ablate(model, direction(model))
    edit.commit(source, tmp_path / "out", progress=False)
    v = direction(model) / direction(model).norm()
    factors = edit.factors()
    before, after = (load_file(f / "model.safetensors") for f in (source, tmp_path / "out"))
    for writer in model.writers():
        removed = factors[writer["name"]]["V"][0]
        assert writer["norm"] or torch.allclose(removed, v, rtol=1e-14, atol=0)
        old, new = (matrix_of(t[writer["weight"]].double(), writer) for t in (before, after))
        along = removed @ new if writer["residual_axis"] == 0 else new @ removed
        # A norm's bias is a handful of numbers: their rounding errors do not average out.
        assert along.norm() / old.norm() <= (4e-7 if len(new) == 1 else 1e-7), writer["name"]


IMPOSSIBLE = {
    "behind": "a norm behind the sum of residual and branch turns what has no component along v",
    "sinusoidal": "positions are computed, so that no weight holds what they have along v",
}
"""Why a residual may keep a component along an ablated direction, by what the spec says."""


@every_case
def test_no_residual_in_transformers_has_a_component_along_it(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool
) -> None:
    source = prepared(family, tmp_path, (name, knob, fused), "float32")
    model = lw.load(source)
    lw.edits.ablate(model, direction(model)).commit(source, tmp_path / "out", progress=False)
    v = direction(model) / direction(model).norm()
    reference = Reference(tmp_path / "out", torch.float32)
    sites = "hook_resid_pre", "hook_resid_mid", "hook_resid_post"
    names = [point for point in reference.names() if point.endswith(sites)]
    assert len(names) >= 2 * model.cfg.n_layers
    along = {}
    for point, residual in reference.points(random_tokens(2, 9), names).items():
        x = residual.double()
        along[point] = float(((x @ v).abs() / x.norm(dim=-1)).max())
    spec = model.spec
    why = IMPOSSIBLE.get("behind" if spec["norms"] == "behind" else str(spec["position"]))
    if why is None:
        assert max(along.values()) <= 1e-5, along
    else:
        assert max(along.values()) > 1e-3, f"it was thought impossible: {why}"


@every_case
def test_nothing_is_added_along_the_direction(
    family: Family, tmp_path: Path, name: str, knob: str, fused: bool
) -> None:
    model = lw.load(prepared(family, tmp_path, (name, knob, fused)))
    edit = lw.edits.ablate(model, direction(model))
    v = direction(model) / direction(model).norm()
    tokens = random_tokens(2, 9)

    def along(cache: Any, point: str) -> float:
        x = cache[point].double()
        return float((x @ v).abs().max() / x.norm(dim=-1).max())

    last = "hook_attn_out", "hook_mlp_out", "hook_embed", "hook_pos_embed", "hook_resid_post"
    _, plain = model.run_with_cache(tokens)
    edit.apply(model)
    _, cache = model.run_with_cache(tokens)
    points = [point for point in cache if point.endswith(last)]
    assert len(points) >= 3 * model.cfg.n_layers + 1
    turned = model.spec["norms"] == "behind" or model.spec["position"] == "sinusoidal"
    assert ("remarks" in edit.provenance) == (turned or any(w["norm"] for w in model.writers()))
    for point in points:
        spared = model.spec["position"] == "sinusoidal" and point == "hook_pos_embed"
        if spared or (turned and point.endswith("hook_resid_post")):
            assert along(cache, point) > 1e-3
            assert "positions are computed" in str(edit.provenance["remarks"]) or (
                "behind the sums" in str(edit.provenance["remarks"])
            )
        else:
            assert along(plain, point) > 1e-3, point
            assert along(cache, point) < 1e-13, point
