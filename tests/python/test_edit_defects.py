"""Defects of other programs that edit weights, each with the test that would catch it here."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from edit_methods import METHODS, directions, length_one, others, written
from editing import direction, loaded, matrix_of, stored_as
from editing_families import Family
from lenswright.verifying.verify import relative_error
from support import random_tokens

Tiny = Callable[..., Path]


def columns_of(model: lw.Model, writer: dict[str, Any]) -> torch.Tensor:
    found = matrix_of(model.parameters()[writer["weight"]], writer).double()
    return found if writer["residual_axis"] == 0 else found.T


@pytest.mark.parametrize("method", METHODS)
def test_strength_counts_in_every_method(tiny: Tiny, tmp_path: Path, method: str) -> None:
    """llm-abliteration's norm-preserving and reflecting modes do the same at any scale."""
    model = loaded(tiny, tmp_path, "llama")
    v, other, tokens = directions(model), others(model), random_tokens(2, 7)
    plain = model(tokens)
    several = METHODS[method].several
    more: dict[str, Any] = {"ridge": {"ridge": 0.3}, "oblique": {"read": other},
                            "projected": {"against": other}}.get(method, {})  # fmt: skip

    def at(strength: float) -> torch.Tensor:
        first = v if several else v[0]
        with model.edited(lw.edits.ablate(model, first, method, strength=strength, **more)):
            return model(tokens)

    results = [at(s) for s in (-1.0, 0.0, 0.3, 0.5, 1.0, 1.7)]
    assert relative_error(results[1], plain) < 1e-12
    for i, one in enumerate(results):
        for other_one in results[:i]:
            assert relative_error(one, other_one) > 1e-3


def test_one_layer_asked_for_is_one_layer_edited(family: Family, tmp_path: Path) -> None:
    """llm-abliteration's 'layers.1' is the beginning of 'layers.10' too."""
    model = lw.load(family("llama", num_hidden_layers=12))
    v = direction(model)
    ways = {
        "directions": lw.edits.ablate(model, {1: v}),
        "strengths": lw.edits.ablate(model, v, strength={1: 1.0}),
        "kernel": lw.edits.ablate(model, v, strength=lw.edits.Kernel(1, 0.5)),
        "glob": lw.edits.ablate(model, v, writers="blocks.1.*"),
        "restricted": lw.edits.ablate(model, v).restrict(layers=[1]),
    }
    for way, edit in ways.items():
        assert edit.writers() == ["blocks.1.attn.W_O", "blocks.1.mlp.W_out"], way
        assert set(edit.bases) == {
            "model.layers.1.self_attn.o_proj.weight", "model.layers.1.mlp.down_proj.weight",
        }  # fmt: skip


def test_ensembles_and_sparsity_have_no_hidden_names() -> None:
    """Arguments nobody knows are refused: an option that fails only in one branch cannot exist."""
    with pytest.raises(TypeError, match="sparsity"):
        lw.edits.ablate(None, torch.ones(3), sparsity=0.1)  # type: ignore[call-arg,arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_experts_are_edited_along_the_residual_whatever_their_layout(
    family: Family, tmp_path: Path, method: str
) -> None:
    """gpt-oss stores [expert, in, out], and is square: a wrong axis has the right shape."""
    square = {"intermediate_size": 48, "hidden_size": 48}
    model = lw.load(stored_as(family("gpt_oss", "", **square), tmp_path / "in", "float64"))
    writer = next(w for w in model.writers() if w["kind"] == "expert")
    shape = model.parameters()[writer["weight"]].shape
    assert shape[1] == shape[2]
    case = METHODS[method]
    w, _ = case.formula(written(model, writer, case))
    case.make(model, directions(model), others(model)).apply(model)
    assert relative_error(columns_of(model, writer), w) < 1e-12


def test_a_checkpoint_of_one_file_and_one_without_an_index(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    assert not (source / "model.safetensors.index.json").exists()
    edit = lw.edits.ablate(lw.load(source), torch.ones(30), "row_norm")
    edit.commit(source, tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_readers_are_never_edited(family: Family) -> None:
    """ErisForge's table has GPT-2's c_fc, Qwen's w1 and InternLM's w3: they read."""
    for name in ("gpt2", "qwen2", "internlm3", "gpt_neox", "falcon"):
        model = lw.load(family(name)) if name != "internlm3" else lw.load(family("qwen3"))
        edited = set(lw.edits.ablate(model, direction(model)).bases)
        weights = model.weights()
        stored = {t.data_ptr(): n for n, t in model.parameters().items()}
        reading = [n for n in weights if n.endswith(("W_in", "W_gate", "W_Q", "W_K", "W_V"))]
        assert reading
        assert not {stored.get(weights[n].data_ptr()) for n in reading} & edited


def test_scales_reach_beyond_one(tiny: Tiny, tmp_path: Path) -> None:
    """ErisForge limits its scale to [-1, 1]."""
    model = loaded(tiny, tmp_path, "llama")
    v = length_one(direction(model))
    edit = lw.edits.ablate(model, v, strength=3.0, writers="mlp")
    with model.edited(edit):
        after = model.capture(random_tokens(1, 5), "blocks.0.hook_mlp_out")
    before = model.capture(random_tokens(1, 5), "blocks.0.hook_mlp_out")
    point = "blocks.0.hook_mlp_out"
    assert relative_error(after[point] @ v, -2.0 * (before[point] @ v)) < 1e-12


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("method", METHODS)
def test_results_are_rounded_once_to_the_type_they_had(
    tiny: Tiny, tmp_path: Path, method: str, dtype: str
) -> None:
    """ErisForge casts every result to bfloat16, and computes in it."""
    model = loaded(tiny, tmp_path, "gpt2", dtype, "float32")
    case = METHODS[method]
    exact = {w["name"]: case.formula(written(model, w, case)) for w in model.writers()}
    case.make(model, directions(model), others(model)).apply(model)
    tensors = model.parameters()
    for writer in model.writers():
        found = matrix_of(tensors[writer["weight"]], writer)
        assert found.dtype == getattr(torch, dtype)
        w = exact[writer["name"]][0]
        w = w if writer["residual_axis"] == 0 else w.T
        # torch rounds float64 to sixteen bits by way of float32, so a few of its ties differ.
        assert (found == w.to(found.dtype)).double().mean() > 0.995, writer["name"]
        step = torch.finfo(found.dtype).eps / 2 * 1.001
        tiny_number = torch.finfo(found.dtype).tiny * torch.finfo(found.dtype).eps / 2
        assert ((found.double() - w).abs() <= step * w.abs() + tiny_number + 1e-14).all()


def test_a_direction_is_taken_out_as_rank_one(tiny: Tiny, tmp_path: Path) -> None:
    """ErisForge multiplies by a d x d matrix; factors of rank one are shared by all writers."""
    model = loaded(tiny, tmp_path, "llama")
    factors = lw.edits.ablate(model, direction(model)).factors()
    width = model.cfg.d_model
    assert all(f["U"].shape == f["V"].shape == (1, width) for f in factors.values())
    assert all(set(f) == {"U", "V"} for f in factors.values())
    assert len({f["U"].data_ptr() for f in factors.values()}) == 1


def test_changes_that_rounding_swallows_are_told(tiny: Tiny, tmp_path: Path) -> None:
    """An edit below one step of its type vanishes in it; others write it and say nothing."""
    source = stored_as(tiny("llama"), tmp_path / "in", "bfloat16")
    model = lw.load(source)
    v = direction(model)
    small = lw.edits.ablate(model, v, strength=1e-6).commit(source, tmp_path / "a", progress=False)
    assert small.swallowed == list(small.changed)
    assert f"{len(small.changed)} of them are as before" in str(small)
    whole = lw.edits.ablate(model, v).commit(source, tmp_path / "b", progress=False)
    assert not whole.swallowed
    assert "as before" not in str(whole)


@pytest.mark.filterwarnings("ignore:generation_config.json asks for suppress_tokens")
def test_no_divergence_is_no_number(tmp_path: Path) -> None:
    """heretic's is NaN where generation_config.json suppresses tokens, and 0 at a forced token."""
    import embedded

    folder = Path(shutil.copytree(embedded.MODEL, tmp_path / "m"))
    config = json.loads((folder / "generation_config.json").read_text())
    first = lw.load(folder).generate([[1, 2]], 1, return_type="tokens")[0][0]
    config["suppress_tokens"] = [t for t in range(4, 40) if t != first]
    found = []
    for text in (None, json.dumps(config)):
        if text is not None:
            (folder / "generation_config.json").write_text(text)
        model = lw.load(folder)
        edit = lw.edits.ablate(model, torch.ones(96), strength=900.0)
        report = lw.measure(model, edit, embedded.splits(4, 4, 6).test, null=0, progress=False)
        found.append({e["name"]: e["after"] for e in report.data["effects"]})
    divergences = {name for name in found[0] if "KL" in name}
    assert len(divergences) >= 3
    for name in divergences:
        assert math.isfinite(found[0][name])
        assert found[0][name] > 0
        assert found[0][name] == found[1][name]


def test_the_template_is_part_of_what_a_direction_knows(tmp_path: Path) -> None:
    """Measured with one template and used under another (thinking on or off, a system prompt)."""
    import embedded

    model, fit = embedded.model(), embedded.splits(4, 4, 4).fit
    stats = model.collect(fit, points="blocks.2.hook_resid_pre", positions="last", progress=False)
    edit = lw.edits.ablate(model, lw.directions.difference_of_means(stats))
    template = model.tokenizer.chat_template
    assert template is not None
    told = edit.provenance["direction"]["model"]["template_sha256"]
    assert told == hashlib.sha256(template.encode()).hexdigest()


def test_the_page_of_defects_names_tests_that_exist() -> None:
    tests = Path(__file__).parent
    page = (tests.parents[1] / "docs" / "defects.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and " test |" not in line]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"\ndef {test}(" in (tests / file).read_text(), f"{file}::{test}"
