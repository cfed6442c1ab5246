"""Edits of quantised checkpoints: tried, applied in bfloat16, committed as bfloat16 throughout."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
import quantised
from editing import committed_hashes, direction, file_hashes, hashes, reference, reference_bias
from lenswright.checkpoints.inspecting import inspect
from lenswright.editing.baking import bake, one_rounding, relative
from lenswright.reference import Reference
from support import random_tokens, same
from test_families import compare

MXFP4_SIZES = {"hidden_size": 64, "intermediate_size": 96}
CASES = ["llama", "qwen3_moe", "qwen3_moe fused", "deepseek_v3", "gpt_oss", "gpt2"]


@pytest.fixture
def checkpoint(family, tmp_path):
    """checkpoint(case): a quantised checkpoint of the test's own."""

    def make(case, shards=1, knob=""):
        name, _, layout = case.partition(" ")
        target = tmp_path / f"{name}{layout}-quantised"
        if name == "gpt_oss":
            folder = quantised.mxfp4(family(name, knob, **MXFP4_SIZES), target)
        else:
            folder = quantised.fp8(family(name, knob), target)
        if layout:
            folder = quantised.fused(folder, tmp_path / f"{name}-fused")
        if shards > 1:
            folder = quantised.sharded(folder, tmp_path / f"{name}-sharded", shards)
        return folder

    return make


def factors_for(model, seed=0):
    """Every factor of every writer, of rank 2, near the identity; sizes from canonical weights."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    factors = {}
    for writer in model.writers():
        out, inputs = model.weight(writer["name"]).shape
        if writer["kind"] in ("token_embedding", "positional_embedding"):
            out, inputs = inputs, out
        own = {
            "S": 1 + 0.1 * draw(out), "U": draw(2, out) / out**0.5, "V": draw(2, out) / out**0.5,
            "C": 1 + 0.1 * draw(inputs), "A": 0.1 * draw(2, out), "B": 0.3 * draw(2, inputs),
        }  # fmt: skip
        if writer["bias"]:
            own["shift"] = 0.1 * draw(out)
        factors[writer["name"]] = own
    return factors


def stored_in(folder):
    """All tensors of a folder, of one file or several."""
    return {n: t for f in sorted(folder.glob("*.safetensors")) for n, t in load_file(f).items()}


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_commit_of_nothing_stays_quantised(checkpoint, tmp_path, case, shards):
    folder = checkpoint(case, shards)
    done = lw.edits.from_factors(lw.load(folder), {}).commit(folder, tmp_path / "out", False)
    assert file_hashes(tmp_path / "out") == file_hashes(folder)
    assert done.changed == {}
    assert done.dequantised is None


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
