"""Edits that add: vectors before a layer, affine edits, LEACE."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lenswright as lw
from edit_methods import directions, length_one, others
from editing import committed_hashes, direction, hashes
from editing_families import Family, prepared
from families import ROWS
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import random_tokens

BIASED = [("gpt2", ""), ("opt", ""), ("bloom", ""), ("phi", ""), ("gpt_neox", ""), ("gptj", ""),
          ("starcoder2", ""), ("gpt_oss", ""), ("gpt_neo", ""), ("codegen", "")]  # fmt: skip
"""Families whose blocks have a bias to hold a constant."""


def steered(
    model: lw.Model, layer: int, vector: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """What steering there gives."""
    last = model.cfg.n_layers
    point = (
        f"blocks.{layer}.hook_resid_pre" if layer < last else f"blocks.{last - 1}.hook_resid_post"
    )
    return model.run_with_hooks(tokens, fwd_hooks=[(point, lambda x, hook: x + vector.to(x.dtype))])


@pytest.mark.parametrize("name", ROWS)
def test_added_before_the_first_layer_is_steering(
    family: Family, tmp_path: Path, name: str
) -> None:
    """In every family; embeddings are multiplied, normed and tied."""
    source = prepared(family, tmp_path, (name, "", False))
    model = lw.load(source)
    v, tokens = direction(model), random_tokens(2, 8)
    edit = lw.edits.add(model, v, 0, strength=-0.5)
    expected = steered(model, 0, -0.5 * v, tokens)
    with model.edited(edit):
        assert relative_error(model(tokens), expected) < 1e-11
    edit.commit(source, tmp_path / "out", progress=False)
    edit.apply(model)
    assert relative_error(model(tokens), expected) < 1e-11
    found = hashes(model)
    assert {n: h for n, h in committed_hashes(tmp_path / "out").items() if n in found} == found
    assert relative_error(expected, steered(model, 0, 0 * v, tokens)) < 1e-11
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    assert relative_error(theirs, expected) < 1e-10


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize(("name", "knob"), BIASED)
def test_added_before_a_layer_is_steering(
    family: Family, tmp_path: Path, name: str, knob: str, layer: int
) -> None:
    source = prepared(family, tmp_path, (name, knob, False))
    model = lw.load(source)
    v, tokens = direction(model), random_tokens(2, 8)
    edit = lw.edits.add(model, v, layer, strength=2.0)
    expected = steered(model, layer, 2.0 * v, tokens)
    assert relative_error(expected, model(tokens)) > 1e-3
    with model.edited(edit):
        assert relative_error(model(tokens), expected) < 1e-11
    edit.commit(source, tmp_path / "out", progress=False)
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    assert relative_error(theirs, expected) < 1e-10


def test_added_at_several_layers_and_to_rows(family: Family, tmp_path: Path) -> None:
    model = lw.load(prepared(family, tmp_path, ("gpt2", "", False)))
    v, tokens = direction(model), random_tokens(3, 6)
    edit = lw.edits.add(model, v, [0, 2])
    both = lw.edits.add(model, v, 0) + lw.edits.add(model, v, 2)
    assert edit.id == both.id
    many = torch.stack([v, -v, 0 * v])
    for layer in (0, 2):
        with model.edited(lw.edits.add(model, many, layer, rows=True)):
            together = model(tokens)
        for row in range(3):
            with model.edited(lw.edits.add(model, many[row], layer)):
                alone = model(tokens[row : row + 1])
            assert relative_error(together[row : row + 1], alone) < 1e-12
    null = lw.edits.random_like(edit, model, seed=2)
    shift = null.factors()["blocks.1.mlp.W_out"]["shift"]
    assert float(shift.norm()) == pytest.approx(float(v.norm()), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "knob", "layer", "why"),
    [
        (
            "llama",
            "",
            1,
            "last writers of the block before have no biases; expected layer 0, or steering",
        ),
        ("gemma2", "", 2, "a norm stands behind the branches of the block before"),
        ("opt", "350m", 1, "a norm stands behind every sum"),
        ("mixtral", "", 3, "have no biases"),
    ],
)
def test_where_nothing_can_be_added(
    family: Family, name: str, knob: str, layer: int, why: str
) -> None:
    model = lw.load(family(name, knob))
    with pytest.raises(ValueError, match=f"before layer {layer} of this model .*{why}"):
        lw.edits.add(model, direction(model), layer)
    with pytest.raises(IndexError, match="layer is 9"):
        lw.edits.add(model, direction(model), 9)
    with pytest.raises(ValueError, match="layer is empty"):
        lw.edits.add(model, direction(model), [])


# --- affine ---------------------------------------------------------------------------------------
def residuals(model: lw.Model, tokens: torch.Tensor) -> torch.Tensor:
    """[n_layers + 1, batch, pos, d_model]."""
    last = model.cfg.n_layers
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(last)]
    names.append(f"blocks.{last - 1}.hook_resid_post")
    cache = model.capture(tokens, names)
    return torch.stack([cache[name] for name in names])


@pytest.mark.parametrize("name", [n for n in ROWS if n != "xglm"])
def test_affine_sets_one_target_everywhere(family: Family, tmp_path: Path, name: str) -> None:
    source = prepared(family, tmp_path, (name, "", False))
    model = lw.load(source)
    v, mean, tokens = length_one(directions(model)), 3 * direction(model, 9), random_tokens(2, 8)
    edit = lw.edits.affine(model, v, mean)
    for way in ("tried", "applied"):
        if way == "tried":
            with model.edited(edit):
                found, logits = residuals(model, tokens), model(tokens)
        else:
            edit.apply(model)
            found = residuals(model, tokens)
            assert relative_error(model(tokens), logits) < 1e-11
        error = ((found - mean) @ v.T).abs().max() / (mean @ v.T).abs().max()
        assert error < 1e-11, way
    edit.revert(model)
    edit.commit(source, tmp_path / "out", progress=False)
    theirs = Reference(tmp_path / "out").points(tokens, ["logits"])["logits"]
    assert relative_error(theirs, logits) < 1e-10


@pytest.mark.parametrize(("name", "knob"), BIASED)
def test_affine_follows_a_target_through_the_layers(
    family: Family, tmp_path: Path, name: str, knob: str
) -> None:
    model = lw.load(prepared(family, tmp_path, (name, knob, False)))
    v = length_one(direction(model))
    tokens = random_tokens(2, 8)
    targets = torch.stack([direction(model, 20 + i) for i in range(model.cfg.n_layers + 1)])
    with model.edited(lw.edits.affine(model, v, targets)):
        found = residuals(model, tokens)
    for layer, target in enumerate(targets):
        assert ((found[layer] - target) @ v).abs().max() < 1e-11 * target.norm()


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "bloom", "granite"])
def test_leace_is_its_formula(family: Family, tmp_path: Path, name: str) -> None:
    """At the embedding, where nothing but the eraser differs: x' = x - A (BᵀA)⁻¹ Bᵀ (x - mean)."""
    model = lw.load(prepared(family, tmp_path, (name, "", False)))
    write, read, mean = directions(model), others(model), direction(model, 9)
    tokens = random_tokens(2, 8)
    before = residuals(model, tokens)[0]
    edit = lw.edits.leace(model, write, read, mean)
    with model.edited(edit):
        after = residuals(model, tokens)
    a, b = write.T, read.T
    p = a @ torch.linalg.inv(b.T @ a) @ b.T
    if name != "bloom":  # a norm stands behind its table, and turns what is left of a token
        expected = before - (before - mean) @ p.T
        assert relative_error(after[0], expected) < 1e-12
    for place in after:  # nothing is read that is not the mean's
        assert ((place - mean) @ read.T).abs().max() < 1e-11 * (mean @ read.T).abs().max()
    assert edit.provenance["method"] == "leace"


def test_affine_is_refused_where_it_would_not_hold(family: Family) -> None:
    positions = lw.load(family("xglm"))
    v = direction(positions)
    with pytest.raises(ValueError, match="computes its positions"):
        lw.edits.affine(positions, v, v)
    behind = lw.load(family("opt", "350m"))
    with pytest.raises(ValueError, match="norms stand behind the sums"):
        lw.edits.affine(behind, direction(behind), direction(behind))
    model = lw.load(family("llama"))
    v, layers = direction(model), model.cfg.n_layers
    each = torch.stack([direction(model, i) for i in range(layers + 1)])
    with pytest.raises(ValueError, match="last writers of the block before have no biases"):
        lw.edits.affine(model, v, each)
    with pytest.raises(ValueError, match=r"target has shape \[2, .*\], expected \["):
        lw.edits.affine(model, v, each[:2])
    with pytest.raises(ValueError, match="target has numbers that are not finite"):
        lw.edits.affine(model, v, v / 0)
    same = lw.edits.affine(model, v, each[:1].expand(layers + 1, -1))  # no step between layers
    assert same.id == lw.edits.affine(model, v, each[0]).id
