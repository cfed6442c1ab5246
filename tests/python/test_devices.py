"""What runs elsewhere than on the CPU: on a GPU where there is one, and on a pretended device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import embedded
import lenswright as lw
import quantised
from editing import direction, file_hashes, general_factors
from families import CASES
from lenswright.verifying.verify import relative_error
from pretended import DEVICE, pretended_device
from support import LIMITS, random_tokens, worst

GPUS = [pytest.param("cuda")] if torch.cuda.is_available() else []


@pytest.fixture(params=["pretended", *GPUS])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param != "pretended":
        yield request.param
        return
    with pretended_device() as name:
        yield name


def test_a_pretended_device_refuses_what_a_gpu_refuses():
    with pretended_device():
        there = torch.ones(3, 4).to(DEVICE)
        assert there.device == DEVICE
        assert (there @ there.t()).cpu().tolist() == [[4.0] * 3] * 3
        with pytest.raises(RuntimeError, match="lies on the CPU"):
            there + torch.ones(4)
        with pytest.raises(RuntimeError):
            there.numpy()


@pytest.mark.parametrize(("name", "knob"), CASES)
def test_every_point(family, device, name, knob):
    folder, tokens = family(name, knob), random_tokens(3, 13)
    ours, theirs = lw.load(folder, dtype="float64", device=device), lw.load(folder, dtype="float64")
    logits, cache = ours.run_with_cache(tokens)
    expected, seen = theirs.run_with_cache(tokens)
    assert logits.device.type == torch.device(device).type
    there = {name: tensor.cpu() for name, tensor in {**cache, "logits": logits}.items()}
    error, where = worst(there, {**seen, "logits": expected})
    assert error <= LIMITS["float64"], where


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_narrow_types(tiny, device, dtype):
    limit = {"float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}[dtype]
    for name in ("llama-grouped", "gpt2"):
        ours, exact = (
            lw.load(tiny(name), dtype=d, device=at)
            for d, at in ((dtype, device), ("float64", "cpu"))
        )
        tokens = random_tokens(3, 13)
        assert ours(tokens).dtype == getattr(torch, dtype)
        assert relative_error(ours(tokens).cpu().double(), exact(tokens)) < limit, name


@pytest.mark.parametrize("side", ["left", "right"])
def test_ragged_batches_and_generation(tiny, device, side):
    rows = [[5, 17, 3, 44, 8], [9, 2], [61, 30, 12]]
    for name in ("llama-grouped", "gpt2"):
        ours, theirs = (lw.load(tiny(name), dtype="float64", device=at) for at in (device, "cpu"))
        there, here = (m(rows, padding_side=side) for m in (ours, theirs))
        for row, (a, b) in enumerate(zip(there, here, strict=True)):
            assert relative_error(a.cpu(), b) < 1e-10, f"{name}, row {row}"
        for how in ({}, {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "seed": 3}):
            said = [m.generate(rows, max_new_tokens=12, **how) for m in (ours, theirs)]
            assert said[0] == said[1], (name, how)


def test_gradients(tiny, device):
    tokens, found = random_tokens(2, 9), []
    for at in (device, "cpu"):
        model = lw.load(tiny("llama-grouped"), dtype="float64", device=at)
        found.append(model.run_with_cache(tokens, incl_bwd=True, return_type="loss"))
    (loss, ours), (expected, theirs) = found
    assert relative_error(loss.cpu(), expected) < 1e-10
    assert any(name.endswith("_grad") for name in theirs)
    for name, value in theirs.items():
        assert relative_error(ours[name].cpu(), value) < 1e-10, name


def test_edits_tried_applied_committed(tiny, device, tmp_path):
    tokens, folder = random_tokens(2, 9), tiny("llama-grouped")
    ours, theirs = (lw.load(folder, dtype="float64", device=at) for at in (device, "cpu"))
    v = direction(theirs)
    before = ours(tokens).cpu()
    for name, make in {
        "plain": lambda m: lw.edits.ablate(m, v),
        "row norms": lambda m: lw.edits.ablate(m, v, method="row_norm", strength=0.7),
        "affine": lambda m: lw.edits.affine(m, v, 0.3 * v),
        "every factor": lambda m: lw.edits.from_factors(m, general_factors(m)),
    }.items():
        edit, there = make(ours), make(theirs)
        with ours.edited(edit), theirs.edited(there):
            tried = ours(tokens).cpu()
            assert relative_error(tried, theirs(tokens)) < 1e-10, name
        edit.apply(ours)
        assert relative_error(ours(tokens).cpu(), tried) < 1e-5, name
        edit.revert(ours)
        assert torch.equal(ours(tokens).cpu(), before), name
        edit.commit(folder, tmp_path / name)
        there.commit(folder, tmp_path / f"{name} here")
        assert file_hashes(tmp_path / name) == file_hashes(tmp_path / f"{name} here"), name


def test_look_try_measure_steer(device):
    parts, figures = embedded.splits(), []
    for at in (device, "cpu"):
        model = embedded.model(device=at, dtype="float64")
        what = ("mean", "variance", "covariance", "norms", "extremes", "quantiles")
        stats = model.collect(parts.fit, points="resid_pre", positions="last", what=what)
        found = lw.directions.difference_of_means(stats)
        chosen = lw.directions.select(
            model, found, parts.select, lw.demo.REFUSAL_MARKERS, n_random=2, progress=False
        )
        report = lw.measure(
            model, lw.edits.ablate(model, chosen), parts.test, refusal=lw.demo.REFUSAL_MARKERS,
            null=2, max_new_tokens=8, progress=False,
        )  # fmt: skip
        with model.steered(lw.steering.add(chosen, 2.0, positions="decode")):
            said = model.generate("Tell me about apples.", max_new_tokens=8)
        figures.append((found, chosen, report.data["effects"], said))
    (found, chosen, effects, said), (other, pick, expected, words) = figures
    for point in other.points:
        for label in other.positions:
            v, w = found.vector(point, label), other.vector(point, label)
            assert relative_error(v, w) < 1e-9, (point, label)
    assert (chosen.layer, chosen.position) == (pick.layer, pick.position)
    assert said == words
    for ours, theirs in zip(effects, expected, strict=True):
        assert ours["after"] == pytest.approx(theirs["after"], abs=1e-6), ours["name"]


def test_directions_and_edits_that_run_the_model(device):
    parts, figures = embedded.splits(fit=8), []
    for at in (device, "cpu"):
        model = embedded.model(device=at, dtype="float64")
        stats = model.collect(parts.fit, points="resid_pre", positions="last")
        found = lw.directions.difference_of_means(stats)
        point, label = found.points[2], found.positions[0]
        better = lw.directions.refined(
            model, found, point, label, parts.fit, "I cannot", k=2, steps=2, progress=False
        )
        v = found.vector(point, label)
        edit = lw.edits.condition(model, v, parts.fit, progress=False)
        figures.append((better.subspace(point, label), edit.factors()))
    (cone, factors), (expected, theirs) = figures
    assert relative_error(cone, expected) < 1e-6
    for writer, forms in theirs.items():
        for name, value in forms.items():
            assert relative_error(factors[writer][name], value) < 1e-6, (writer, name)


def test_quantised_weights(family, device, tmp_path):
    folders = {
        "fp8": quantised.fp8(family("llama"), tmp_path / "fp8"),
        "mxfp4": quantised.mxfp4(
            family("gpt_oss", "", hidden_size=64, intermediate_size=96), tmp_path / "mxfp4"
        ),
    }
    tokens = random_tokens(2, 9)
    for name, folder in folders.items():
        ours, theirs = (lw.load(folder, dtype="float64", device=at) for at in (device, "cpu"))
        assert relative_error(ours(tokens).cpu(), theirs(tokens)) < 1e-10, name


def test_a_checkpoint_verifies_itself(data, device):
    found = lw.load(data / "TinyStories-656K", device=device).verify()
    assert found.ok, found
