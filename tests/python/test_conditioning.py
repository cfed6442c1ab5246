"""Edits conditioned on keys, against least squares over explicit keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import keyed
import lenswright as lw
from edit_methods import gain, length_one
from editing import committed_hashes, direction, hashes, matrix_of
from editing_families import Family
from keyed import BALANCE, LAYER_INPUTS, RIDGE, keys_of, least_squares, worded
from lenswright import demo
from lenswright.directions import difference_of_means
from lenswright.prompting.prompts import Splits
from lenswright.verifying.verify import relative_error
from support import random_tokens


@pytest.fixture(scope="module")
def splits() -> Splits:
    return keyed.splits()


@pytest.mark.parametrize(("sequential", "target"), [(True, 0.0), (True, "mean"), (False, 0.4)])
@pytest.mark.parametrize(
    ("name", "knob"), [("llama", ""), ("gpt2", ""), ("gpt_neox", ""), ("gemma2", ""), ("phi", "")]
)
def test_it_is_the_least_square(
    family: Family,
    tmp_path: Path,
    splits: Splits,
    name: str,
    knob: str,
    sequential: bool,
    target: Any,
) -> None:
    model = worded(family, tmp_path, name, knob)
    v = direction(model)
    edit = lw.edits.condition(
        model, v, splits.fit, balance=BALANCE, ridge=RIDGE, sequential=sequential, target=target,
        batch_size=5, progress=False,
    )  # fmt: skip
    sites = {site["name"]: site for site in model.writers()}
    factors = edit.factors()
    assert set(factors) == {n for n, s in sites.items() if s["layer"] >= 0}
    stored = model.parameters()
    for name_, own in factors.items():
        site = sites[name_]
        layer, kind = site["layer"], site["kind"]
        earlier = None
        if sequential:
            done = [n for n in factors if sites[n]["layer"] < layer]
            done += [f"blocks.{layer}.attn.W_O"] if kind == "mlp" else []
            earlier = edit.restrict(done) if done else None
        keys = keys_of(model, splits.fit, f"blocks.{layer}.{LAYER_INPUTS[kind]}", earlier)
        w = matrix_of(stored[site["weight"]], site)
        w = w if site["residual_axis"] == 0 else w.T
        b = stored[site["bias"]] if site["bias"] else torch.zeros(len(w), dtype=w.dtype)
        before = length_one(gain(model, site)[0] * v)
        assert relative_error(own["A"][0], before) < 1e-13
        assert relative_error(own["B"][0], least_squares(keys, w, b, before, target)) < 1e-7


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_several_directions_are_solved_for_side_by_side(
    family: Family, tmp_path: Path, splits: Splits, name: str
) -> None:
    model = worded(family, tmp_path, name)
    two = torch.stack([direction(model), direction(model).roll(1)])
    settings: dict[str, Any] = {"balance": BALANCE, "ridge": RIDGE, "progress": False}
    edit = lw.edits.condition(model, two, splits.fit, writers="attention", sequential=False,
                              **settings)  # fmt: skip
    sites = {site["name"]: site for site in model.writers()}
    stored = model.parameters()
    for name_, own in edit.factors().items():
        site, v = sites[name_], own["A"]
        assert relative_error(v @ v.T, torch.eye(2, dtype=v.dtype)) < 1e-13
        span = gain(model, site)[0] * two
        assert relative_error(span @ v.T @ v, span) < 1e-13
        keys = keys_of(model, splits.fit, f"blocks.{site['layer']}.attn.hook_z", None)
        w = matrix_of(stored[site["weight"]], site)
        w = w if site["residual_axis"] == 0 else w.T
        none = torch.zeros(len(w), dtype=w.dtype)
        for i in range(2):
            assert relative_error(own["B"][i], least_squares(keys, w, none, v[i], 0.0)) < 1e-7
    other = edit.again(1, 0)
    assert next(iter(other.factors().values()))["A"].shape[0] == 2


def test_null_space_leaves_negative_keys_alone(
    family: Family, tmp_path: Path, splits: Splits
) -> None:
    model = worded(family, tmp_path, "llama", intermediate_size=120)
    with torch.no_grad():
        # Few negative prompts reach few dimensions of a wide layer.
        part = Splits.from_parts(
            fit={"positive": [p.text for p in splits.fit.positive],
                 "negative": [p.text for p in splits.fit.negative][-2:]},
            select={"positive": ["w1"], "negative": ["w2"]},
            test={"positive": ["w3"], "negative": ["w4"]},
        )  # fmt: skip
    edit = lw.edits.condition(
        model, direction(model), part.fit, writers="mlp", protect="null_space", null_share=1e-9,
        progress=False,
    )  # fmt: skip
    for layer in range(3):
        point = f"blocks.{layer}.mlp.hook_post"
        positive, negative, _ = keys_of(model, part.fit, point, None)
        delta = edit.factors()[f"blocks.{layer}.mlp.W_out"]["B"][0]
        if layer == 0:
            assert (negative @ delta).abs().max() < 1e-6 * (positive @ delta).abs().max()
    with pytest.raises(ValueError, match=r"negative prompts reach every direction.*null_share"):
        lw.edits.condition(
            model, direction(model), splits.fit, writers="attention", protect="null_space",
            null_share=1e-9, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["qwen2_moe", "gpt_oss"])
def test_experts_have_keys_of_their_own(
    family: Family, tmp_path: Path, splits: Splits, name: str, fused: bool
) -> None:
    model = worded(family, tmp_path, name, fused=fused)
    v = direction(model)
    edit = lw.edits.condition(
        model, v, splits.fit, writers=["expert", "shared_expert"], balance=BALANCE, ridge=RIDGE,
        sequential=False, progress=False,
    )  # fmt: skip
    factors = edit.factors()
    assert any(".experts." in n for n in factors)
    assert any(n.endswith("shared.W_out") for n in factors) == (name == "qwen2_moe")
    unit = length_one(v)
    for layer in range(model.cfg.n_layers):
        # What any expert's output changes by is v (δ·k).
        point = f"blocks.{layer}.mlp.hook_expert_out"
        tokens = random_tokens(2, 9)
        part = edit.restrict([n for n in factors if n.startswith(f"blocks.{layer}.mlp.experts")])
        with model.edited(part):
            after = model.capture(tokens, point)[point]
        change = after - model.capture(tokens, point)[point]
        along = (change @ unit)[..., None] * unit
        assert change.abs().max() > 1e-3
        assert relative_error(along, change) < 1e-9


def test_it_is_an_edit_like_others(family: Family, tmp_path: Path, splits: Splits) -> None:
    model = worded(family, tmp_path, "gpt2")
    edit = lw.edits.condition(model, direction(model), splits.fit, progress=False)
    tokens = random_tokens(2, 8)
    with model.edited(edit):
        tried = model(tokens)
    edit.apply(model)
    assert relative_error(tried, model(tokens)) < 1e-12
    done = hashes(model)
    edit.revert(model)
    edit.commit(model.folder, tmp_path / "out", progress=False)
    found = committed_hashes(tmp_path / "out")
    assert {n: h for n, h in found.items() if n in done} == done
    why = {line["writer"]: line["what"] for line in edit.describe() if not line["edited"]}
    assert set(why) == {"embed.W_E", "pos_embed.W_pos"}
    made = edit.provenance
    assert made["method"] == "condition"
    assert made["fit"]["digests"] == splits.fit.digests
    with pytest.raises(ValueError, match="test"):
        lw.measure(model, edit, splits.fit, null=0)
    null = lw.edits.random_like(edit, model, seed=1)
    assert null.writers() == edit.writers()
    assert null.id != edit.id
    twice = lw.edits.condition(
        model, direction(model), splits.fit, strength=2.0, sequential=False, progress=False
    )
    once = lw.edits.condition(model, direction(model), splits.fit, sequential=False, progress=False)
    for writer, factors in (2.0 * once).factors().items():
        whole = twice.factors()[writer]
        assert relative_error(whole["A"].T @ whole["B"], factors["A"].T @ factors["B"]) < 1e-14


def test_batch_size_does_not_matter(family: Family, tmp_path: Path, splits: Splits) -> None:
    model = worded(family, tmp_path, "llama")
    one, other = (
        lw.edits.condition(model, direction(model), splits.fit, batch_size=n, progress=False)
        for n in (1, 32)
    )
    for name, factors in one.factors().items():
        assert relative_error(factors["B"], other.factors()[name]["B"]) < 1e-8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"balance": 0.0}, "balance is 0.0, expected a positive number"),
        ({"balance": []}, "balance is empty"),
        ({"ridge": -1.0}, "ridge is -1.0"),
        ({"strength": float("inf")}, "strength is inf"),
        ({"target": "median"}, "target is 'median', expected a finite number or 'mean'"),
        ({"protect": "nothing"}, "protect is 'nothing'"),
        ({"writers": "embed.W_E"}, "no writer is left to change: .*what it reads are tokens"),
        ({"writers": "atention"}, "did you mean 'attention'"),
        ({"positions": "lst"}, "did you mean 'last'"),
    ],
)
def test_bad_conditions(
    family: Family, tmp_path: Path, splits: Splits, arguments: dict[str, Any], message: str
) -> None:
    model = worded(family, tmp_path, "llama")
    with pytest.raises(ValueError, match=message):
        lw.edits.condition(model, direction(model), splits.fit, progress=False, **arguments)


def test_on_the_embedded_model_it_breaks_less() -> None:
    """Refusals go as with plain ablation, and answers to what was never refused change less."""
    model = lw.load(demo.MODEL)
    splits = demo.splits()
    stats = model.collect(
        splits.fit, points="resid_pre", positions="post_instruction", progress=False
    )
    choice = lw.directions.select(model, difference_of_means(stats), splits.select, progress=False)
    figures = {}
    for name, edit in (
        ("plain", lw.edits.ablate(model, choice)),
        ("condition", lw.edits.condition(model, choice, splits.fit, progress=False)),
    ):
        report = lw.measure(
            model, edit, splits.test, null=0, refusal=demo.REFUSAL_MARKERS, progress=False
        )
        figures[name] = {effect["name"]: effect["after"] for effect in report.data["effects"]}
    plain, condition = figures["plain"], figures["condition"]
    assert condition["refusal, restricted"] <= 0.05
    for what in ("benign", "talk", "list"):
        divergence = f"KL(base‖edited), {what}"
        assert condition[divergence] < 0.6 * plain[divergence]
        assert condition[f"truth, {what}"] >= plain[f"truth, {what}"]
