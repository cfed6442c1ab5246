"""What a commit makes of a quantised checkpoint: bfloat16 throughout, and the way back."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
import quantised
from editing import direction, file_hashes, reference, reference_bias
from lenswright.checkpoints.inspecting import inspect
from lenswright.reference import Reference
from quantised_editing import CASES, factors_for, quantised_case, stored_in
from support import random_tokens, same
from test_families import compare


@pytest.fixture
def checkpoint(family, tmp_path):
    """checkpoint(case): a quantised checkpoint of the test's own."""
    return partial(quantised_case, family, tmp_path)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_commit_of_nothing_stays_quantised(checkpoint, tmp_path, case, shards):
    folder = checkpoint(case, shards)
    done = lw.edits.from_factors(lw.load(folder), {}).commit(folder, tmp_path / "out", False)
    assert file_hashes(tmp_path / "out") == file_hashes(folder)
    assert done.changed == {}
    assert done.dequantised is None


@pytest.mark.parametrize("case", CASES)
def test_transformers_reads_what_was_committed(checkpoint, tmp_path, case):
    import transformers

    folder, out, tokens = checkpoint(case), tmp_path / "out", random_tokens(3, 13)
    model = lw.load(folder)
    lw.edits.ablate(model, direction(model)).commit(folder, out, progress=False)
    oracle = Reference(out)
    theirs = oracle.points(tokens)
    theirs["logits"] = oracle.points(tokens, ["logits"])["logits"]
    logits, cache = lw.load(out, dtype="float64").run_with_cache(tokens)
    error, where = compare({**cache, "logits": logits}, theirs)
    assert error <= 1e-10, where
    _, info = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info.values()), info
    config = json.loads((out / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"
    assert inspect(out).quantisation is None


@pytest.mark.parametrize("case", CASES)
def test_every_number_that_is_written(checkpoint, tmp_path, case):
    """General factors in float64 by the formula, and what no edit touches, each rounded once."""
    folder, out = checkpoint(case), tmp_path / "out"
    exact = stored_in(quantised.dequantised(folder, tmp_path / "plain"))
    model = lw.load(folder)
    factors = factors_for(model)
    edit = lw.edits.from_factors(model, factors)
    done = edit.commit(folder, out, progress=False)
    stored, written = stored_in(folder), stored_in(out)
    wanted = {name: value.double() for name, value in exact.items()}
    for writer in model.writers():
        own, slice_ = factors[writer["name"]], writer["slice"]
        for name, formula in ((writer["weight"], reference), (writer["bias"], reference_bias)):
            if not name:
                continue
            at = wanted[name] if slice_ < 0 else wanted[name][slice_]
            more = (writer["residual_axis"],) if formula is reference else ()
            at.copy_(formula(at, own, *more))
    added = {done.added} if done.added else set()
    assert set(written) == set(wanted) | added
    for name in written.keys() - added:
        value, quantised_before = written[name], stored.get(name, torch.empty(0))
        if name not in done.changed and same(value, quantised_before):
            continue  # carried over
        assert value.dtype == torch.bfloat16, name
        unit = torch.finfo(torch.bfloat16).eps / 2
        error = (value.double() - wanted[name]).abs()
        assert bool((error <= 1.001 * unit * wanted[name].abs() + 1e-30).all()), name
    plain = {n for n in written if n in stored and n not in done.changed | {}}
    kept = {n for n in plain if stored[n].element_size() > 1}
    assert kept
    assert all(same(written[n], stored[n]) for n in kept)


def test_names_and_shapes_of_gpt_oss(checkpoint, tmp_path):
    folder, out = checkpoint("gpt_oss", 3), tmp_path / "out"
    model = lw.load(folder)
    edit = lw.edits.ablate(model, direction(model), writers="blocks.1.mlp.experts.2.W_out")
    done = edit.commit(folder, out, progress=False)
    written = stored_in(out)
    assert not any(n.endswith(("_blocks", "_scales")) for n in written)
    at = "model.layers.1.mlp.experts."
    assert written[at + "gate_up_proj"].shape == (5, 64, 192)
    assert written[at + "down_proj"].shape == (5, 96, 64)
    assert set(done.changed) == {at + "down_proj", at + "down_proj_bias"}
    assert done.dequantised == ("mxfp4", 6)
    assert "6 tensors written in BF16 that were mxfp4" in str(done)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(written)
    for name, file in index["weight_map"].items():
        assert name in load_file(out / file)
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in written.values())
    record = json.loads((out / "lenswright.json").read_text())["steps"][0]
    assert record["dequantised"] == {"tensors": 6, "from": "mxfp4", "to": "BF16"}
    # The other experts are what they were: MXFP4 fits bfloat16 without rounding.
    numbers = model.weight("blocks.1.mlp.experts.3.W_out")
    assert torch.equal(written[at + "down_proj"][3].T.float(), numbers)


def test_layers_beyond_the_decoder_are_dequantised_too(checkpoint, tmp_path):
    """Layers that predict further tokens are carried along, and no code would read them as fp8."""
    from support import rewrite

    folder, out = checkpoint("deepseek_v3"), tmp_path / "out"
    layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    name = f"model.layers.{layers}.eh_proj.weight"
    codes, scales = quantised.to_fp8(torch.randn(30, 60), (16, 24))
    rewrite(folder, lambda t: t | {name: codes, name + "_scale_inv": scales})
    model = lw.load(folder)
    lw.edits.ablate(model, direction(model)).commit(folder, out, progress=False)
    written = stored_in(out)
    assert written[name].dtype == torch.bfloat16
    assert name + "_scale_inv" not in written
    grown = scales.repeat_interleave(16, 0)[:30].repeat_interleave(24, 1)[:, :60]
    assert torch.equal(written[name], (codes.float() * grown).bfloat16())


def test_tied_embeddings_are_untied(tiny, tmp_path):
    folder = quantised.fp8(tiny("llama-grouped"), tmp_path / "in")
    out, model = tmp_path / "out", lw.load(folder)
    done = lw.edits.ablate(model, direction(model)).commit(folder, out, progress=False)
    assert done.added == "lm_head.weight"
    config = json.loads((out / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    assert "quantization_config" not in config
    written = stored_in(out)
    assert same(written["lm_head.weight"], stored_in(folder)["model.embed_tokens.weight"])


@pytest.mark.parametrize("case", CASES)
def test_the_quantised_original_comes_back(checkpoint, tmp_path, case):
    source = checkpoint(case, shards=2)
    original = file_hashes(source)
    model = lw.load(source)
    for label, edit in (
        ("plain", lw.edits.ablate(model, direction(model))),
        ("general", lw.edits.from_factors(model, factors_for(model))),
    ):
        done = edit.commit(source, tmp_path / label, progress=False, journal=True)
        assert done.dequantised is not None
        assert lw.edits.verify(tmp_path / label, source, progress=False).ok
        lw.edits.revert(tmp_path / label, tmp_path / f"{label} back", progress=False)
        assert file_hashes(tmp_path / f"{label} back") == original
