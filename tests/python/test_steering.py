"""Steering: every operation is its formula, at its points, with gradients, in every type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from editing import loaded
from lenswright.verifying.verify import relative_error
from steering_formulas import CASES, POINT, along, apply, changed, made, reference, unit
from support import random_tokens, same

Tiny = Callable[..., Path]

EXACT = {"float64": 1e-14, "float32": 2e-6}


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(("operation", "s", "how"), CASES)
def test_operation_is_its_formula(
    tiny: Tiny, tmp_path: Path, operation: str, s: float, how: dict[str, Any], dtype: str
) -> None:
    model = loaded(tiny, tmp_path, "llama", dtype)
    tokens = random_tokens(3, 7)
    h = model.capture(tokens, POINT)[POINT]
    expected = apply(h, operation, along(model), s, lambda *_: 1.0, **reference(model, how))
    plain = model(tokens)
    with model.steered(made(model, operation, s, how, layers=1)):
        logits, cache = model.run_with_cache(tokens, [POINT, "resid_post"])
    assert relative_error(cache[POINT], expected) < EXACT[dtype]
    assert relative_error(expected, h) > 1e-3, "the formula does nothing"
    patched = model.run_with_hooks(tokens, fwd_hooks=[(POINT, lambda x, hook: expected)])
    assert relative_error(logits, patched) < 10 * EXACT[dtype]
    assert same(model(tokens), plain), "the steering outlived its context"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bits_are_computed_in_float32(tiny: Tiny, tmp_path: Path, dtype: str) -> None:
    model = loaded(tiny, tmp_path, "llama", dtype, dtype)
    tokens = random_tokens(2, 9)
    h = model.capture(tokens, POINT)[POINT]
    for operation, s, how in CASES:
        expected = apply(
            h.double(), operation, along(model), s, lambda *_: 1.0, **reference(model, how)
        )
        with model.steered(made(model, operation, s, how, layers=1)):
            found = model.capture(tokens, POINT)[POINT]
        assert found.dtype == h.dtype
        error = (found.double() - expected).abs()
        # One rounding: half a step of the stored type, and float32's error in what was summed.
        half = torch.finfo(h.dtype).eps / 2
        assert (error <= half * expected.abs() * 1.01 + 1e-5).all(), (operation, how)


@pytest.mark.parametrize("unit_of", ["absolute", "token"])
@pytest.mark.parametrize("below", [False, True])
def test_condition_is_of_each_token(tiny: Tiny, tmp_path: Path, unit_of: str, below: bool) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens = random_tokens(4, 8)
    h, seen = model.capture(tokens, POINT)[POINT], along(model, 5)
    parts = (h @ unit(seen)) / (h.norm(dim=-1) if unit_of == "token" else 1.0)
    threshold = float(parts.median()) + 1e-6  # none lies on it
    condition = lw.steering.when(seen, threshold, unit_of, below=below)
    expected = apply(
        h, "add", along(model), 5.0, lambda *_: 1.0, when=(seen, threshold, unit_of, below)
    )
    with model.steered(lw.steering.add(along(model), 5.0, layers=1, when=condition)):
        found = model.capture(tokens, POINT)[POINT]
    assert relative_error(found, expected) < 1e-14
    untouched = (found == h).all(-1)
    assert 0.3 < untouched.double().mean() < 0.7
    assert torch.equal(~untouched, parts < threshold if below else parts > threshold)


def test_swap_exchanges_components_and_keeps_the_rest(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    a, b = unit(along(model)), unit(along(model, 1) + 2 * along(model))
    assert abs(float(a @ b)) > 0.5  # at an angle
    h = model.capture(random_tokens(2, 6), POINT)[POINT]
    with model.steered(lw.steering.swap(a, 3 * b, layers=1)):
        after = model.capture(random_tokens(2, 6), POINT)[POINT]
    assert relative_error(after @ a, h @ b) < 1e-13
    assert relative_error(after @ b, h @ a) < 1e-13
    assert relative_error(after.norm(dim=-1), h.norm(dim=-1)) < 1e-14
    basis = torch.linalg.qr(torch.stack([a, b], 1)).Q
    rest = torch.eye(len(a), dtype=torch.float64) - basis @ basis.T
    assert relative_error(after @ rest, h @ rest) < 1e-13


@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2", "gpt2-untied"])
def test_project_at_every_write_is_the_ablation_tried(
    tiny: Tiny, tmp_path: Path, name: str
) -> None:
    model = loaded(tiny, tmp_path, name)
    tokens, v = random_tokens(3, 9), along(model)
    for s in (1.0, 0.4):
        with model.edited(lw.edits.ablate(model, v, strength=s)):
            tried, there = model.run_with_cache(tokens, ["resid_mid", "resid_post"])
        steering = lw.steering.project(v, s, layers="all", at="writes")
        with model.steered(steering):
            steered, cache = model.run_with_cache(tokens, ["resid_mid", "resid_post"])
            said = model.generate(tokens, 8, return_type="tokens")
        assert relative_error(steered, tried) < 1e-12
        assert all(relative_error(cache[point], there[point]) < 1e-12 for point in there)
        with model.edited(lw.edits.ablate(model, v, strength=s)):
            assert said == model.generate(tokens, 8, return_type="tokens")
    assert relative_error(tried, model(tokens)) > 1e-3


@pytest.mark.parametrize("name", ["gemma2", "qwen3_moe", "bloom", "gpt_neox"])
def test_nothing_is_left_along_a_projected_direction(
    family: Callable[..., Path], name: str
) -> None:
    model = lw.load(family(name), dtype="float64")
    v = unit(along(model))
    with model.steered(lw.steering.project(v, layers="all", at="writes")):
        cache = model.capture(random_tokens(2, 7), ["resid_pre", "resid_post"])
    for point, value in cache.items():
        left = (value @ v).abs() / value.norm(dim=-1)
        assert left.max() < 1e-12, point


def test_directions_and_strengths_of_each_layer(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens = random_tokens(2, 6)
    vectors = {0: along(model), 2: along(model, 1)}
    steering = lw.steering.add(vectors, 4.0, over_layers={0: 1.0, 2: 0.5}, at="resid_post")
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(3)]
    hooks = [
        (names[0], lambda h, hook: h + 4.0 * unit(vectors[0])),
        (names[2], lambda h, hook: h + 2.0 * unit(vectors[2])),
    ]
    with model.hooks(fwd_hooks=hooks):
        expected = model.capture(tokens, names)
    with model.steered(steering):
        found = model.capture(tokens, names)
    assert all(relative_error(found[name], expected[name]) < 1e-14 for name in names)
    halfway = lw.steering.add(along(model), 1.0, layers="all", over_layers={0: 0.0, 2: 3.0})
    with model.steered(halfway):
        resid = model.capture(tokens, [POINT, "blocks.0.hook_resid_post"])
    step = resid[POINT] - model.capture(tokens, POINT)[POINT]
    assert relative_error(step, 1.5 * unit(along(model)).expand_as(step)) < 1e-12


def test_sums_act_in_order_and_factors_multiply_the_change(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens, v, w = random_tokens(2, 6), along(model), along(model, 1)
    add = lw.steering.add(v, 5.0, layers=1)
    clamp = lw.steering.clamp(w, 1.0, layers=1)
    h = model.capture(tokens, POINT)[POINT]

    def steered(*steerings: Any) -> torch.Tensor:
        with model.steered(*steerings):
            return model.capture(tokens, POINT)[POINT]

    both = torch.stack([
        torch.stack([changed(changed(t, "add", v, 5.0), "clamp", w, 1.0) for t in row]) for row in h
    ])  # fmt: skip
    assert relative_error(steered(add + clamp), both) < 1e-14
    assert same(steered(add + clamp), steered(add, clamp))
    assert same(steered(sum([add, clamp])), steered(add, clamp))
    assert relative_error(steered(clamp + add), steered(add + clamp)) > 1e-3
    for factor in (0.5, -1.0, 0.0):
        part = apply(h, "clamp", w, 1.0, lambda *_, factor=factor: factor)
        assert relative_error(steered(factor * clamp), part) < 1e-14
    kept = steered(0.5 * lw.steering.add(v, 5.0, layers=1, preserve_norm=True))
    assert relative_error(kept.norm(dim=-1), h.norm(dim=-1)) < 1e-14
    with model.steered(add):
        inside = steered(clamp)
    assert same(inside, steered(add, clamp))
    assert same(steered(), h)


def test_hooks_and_edits_see_what_is_steered(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    tokens, v = random_tokens(2, 5), along(model)
    seen = []
    with model.steered(lw.steering.clamp(v, 2.0, layers=1)), model.hooks(
        [(POINT, lambda h, hook: seen.append(h))]
    ), model.edited(lw.edits.ablate(model, v)):  # fmt: skip
        model(tokens)
    assert relative_error(seen[0] @ unit(v), torch.full((2, 5), 2.0, dtype=torch.float64)) < 1e-13


def test_norms_of_the_residual(tiny: Tiny, tmp_path: Path) -> None:
    import wordy

    folder = wordy.copy(tiny("llama"), tmp_path / "m")
    model = lw.load(folder, dtype="float64")
    prompts = wordy.sentences(7, seed=3)
    for at, first in (("resid_pre", True), ("resid_post", False)):
        found = lw.steering.residual_norms(model, prompts, at, skip_first=first, batch_size=2)
        rows = model.prompt_tokens(prompts)
        for layer in range(3):
            name = f"blocks.{layer}.hook_{at}"
            every = [model.capture([row], name)[name][0, int(first) :].norm(dim=-1) for row in rows]
            assert abs(found[layer] / float(torch.cat(every).mean()) - 1) < 1e-12
        assert found == lw.steering.residual_norms(model, prompts, at, first, batch_size=5)
    with pytest.raises(ValueError, match="expected a list of at least one text"):
        lw.steering.residual_norms(model, [])
    with pytest.raises(KeyError, match=r"did you mean 'blocks\.0\.hook_resid_p"):
        lw.steering.residual_norms(model, prompts, at="resid_pr")
