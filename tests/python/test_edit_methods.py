"""Methods of edits against their formulas, and against what other programs get wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from edit_methods import METHODS, STRENGTH, directions, length_one, others, written
from editing import direction, hashes, loaded, matrix_of
from editing_families import Family, prepared
from lenswright.verifying.verify import relative_error
from support import random_tokens

Tiny = Callable[..., Path]

PLACES = [
    ("llama", "", False), ("gpt2", "", False), ("gpt2", "untied", False), ("bloom", "", False),
    ("opt", "350m", False), ("gemma2", "", False), ("olmo2", "", False), ("granite", "", False),
    ("deepseek_v3", "", False), ("gpt_oss", "full", False), ("gpt_oss", "full", True),
    ("qwen2_moe", "", False), ("qwen2_moe", "", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "knob", "fused"), PLACES)
@pytest.mark.parametrize("method", METHODS)
def test_applied_is_the_formula(
    family: Family, tmp_path: Path, method: str, name: str, knob: str, fused: bool
) -> None:
    model = lw.load(prepared(family, tmp_path, (name, knob, fused)))
    case = METHODS[method]
    expected = {
        writer["name"]: case.formula(written(model, writer, case)) for writer in model.writers()
    }
    before = hashes(model)
    edit = case.make(model, directions(model), others(model))
    edit.apply(model)
    tensors = model.parameters()
    for writer in model.writers():
        w, b = expected[writer["name"]]
        found = matrix_of(tensors[writer["weight"]], writer)
        found = found if writer["residual_axis"] == 0 else found.T
        assert relative_error(found, w) < 1e-12, writer["name"]
        assert (b is not None) == bool(writer["bias"])
        if b is not None:
            bias = tensors[writer["bias"]]
            bias = bias if writer["slice"] < 0 else bias[writer["slice"]]
            assert relative_error(bias, b) < 1e-12, writer["bias"]
    edit.revert(model)
    assert hashes(model) == before


# --- what a method promises -----------------------------------------------------------------------
def columns_of(model: lw.Model, writer: dict[str, Any]) -> torch.Tensor:
    found = matrix_of(model.parameters()[writer["weight"]], writer).double()
    return found if writer["residual_axis"] == 0 else found.T


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_write_norm_keeps_every_column_and_removes_the_direction(
    family: Family, tmp_path: Path, name: str
) -> None:
    model = lw.load(prepared(family, tmp_path, (name, "", False)))
    v = length_one(direction(model))
    before = {writer["name"]: columns_of(model, writer) for writer in model.writers()}
    lw.edits.ablate(model, v, "write_norm").apply(model)
    for writer in model.writers():
        old, new = before[writer["name"]], columns_of(model, writer)
        assert relative_error(new.norm(dim=0), old.norm(dim=0)) < 1e-13
        assert (v @ new).norm() < 1e-14 * old.norm()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 1.5])
def test_row_norm_keeps_every_row(tiny: Tiny, tmp_path: Path, strength: float) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    before = {writer["name"]: columns_of(model, writer) for writer in model.writers()}
    lw.edits.ablate(model, direction(model), "row_norm", strength=strength).apply(model)
    for writer in model.writers():
        old, new = before[writer["name"]], columns_of(model, writer)
        assert relative_error(new.norm(dim=1), old.norm(dim=1)) < 1e-13
        assert (relative_error(new, old) < 1e-14) == (strength == 0.0)


def test_row_oblique_reads_another_direction_than_it_writes(tiny: Tiny, tmp_path: Path) -> None:
    """It annihilates D⁻¹v and leaves much of v: two programs call different things 'norm'."""
    model = loaded(tiny, tmp_path, "llama")
    v = length_one(direction(model))
    name = "blocks.1.mlp.W_out"
    writer = next(w for w in model.writers() if w["name"] == name)
    old = columns_of(model, writer)
    scale = torch.logspace(-1, 1, 30, dtype=torch.float64)  # rows of very different lengths
    model.parameters()[writer["weight"]].copy_(scale[:, None] * old)
    old = columns_of(model, writer)
    lw.edits.ablate(model, v, "row_oblique", writers=name).apply(model)
    new = columns_of(model, writer)
    read = v / old.norm(dim=1)
    assert (read @ new).norm() < 1e-13 * (read @ old).norm()
    assert (v @ new).norm() > 0.05 * (v @ old).norm()


@pytest.mark.parametrize("name", ["llama", "gemma2", "bloom"])
def test_oblique_leaves_nothing_where_it_reads(family: Family, tmp_path: Path, name: str) -> None:
    model = lw.load(prepared(family, tmp_path, (name, "", False)))
    v, read = directions(model), others(model)
    lw.edits.ablate(model, v, "oblique", read=read).apply(model)
    points = ("hook_attn_out", "hook_mlp_out", "hook_embed")
    _, cache = model.run_with_cache(random_tokens(2, 9))
    for point, value in cache.items():
        if point.endswith(points):
            along = (value.double() @ length_one(read).T).abs().max()
            assert along < 1e-12 * value.norm(dim=-1).max(), point


def test_subspace_of_one_is_plain_and_order_does_not_matter(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama-grouped")
    v, tokens = directions(model), random_tokens(2, 8)

    def logits(edit: lw.edits.Edit) -> torch.Tensor:
        with model.edited(edit):
            return model(tokens)

    one = logits(lw.edits.ablate(model, v[:1], "subspace"))
    assert relative_error(one, logits(lw.edits.ablate(model, v[0]))) < 1e-12
    both = logits(lw.edits.ablate(model, v, "subspace"))
    swapped = logits(lw.edits.ablate(model, v.flip(0), "subspace"))
    assert relative_error(both, swapped) < 1e-12
    mixed = torch.stack([v[0] + v[1], v[0] - 2 * v[1]])
    assert relative_error(both, logits(lw.edits.ablate(model, mixed, "subspace"))) < 1e-11
    # One after another is not the subspace, unless they are orthogonal.
    in_turn = lw.edits.ablate(model, v[0]).then(lw.edits.ablate(model, v[1]))
    assert relative_error(both, logits(in_turn)) > 1e-3
    tiny_ridge = lw.edits.ablate(model, v, "ridge", ridge=1e-12)
    assert relative_error(both, logits(tiny_ridge)) < 1e-9


def test_against_takes_out_all_or_some_of_what_is_shared(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    v, protected = direction(model), others(model)
    whole = lw.edits.ablate(model, v, against=protected)
    u = whole.factors()["embed.W_E"]["V"][0]
    assert (length_one(protected) @ u).abs().max() < 1e-15
    same = lw.edits.ablate(model, v, "projected", against=protected)
    assert same.id == whole.id
    half = lw.edits.ablate(model, v, against=protected[0], against_strength=0.5)
    r = length_one(protected[0])
    unit = length_one(v)
    expected = length_one(unit - 0.5 * (r @ unit) * r)
    assert relative_error(half.factors()["embed.W_E"]["V"][0], expected) < 1e-14
    by_layer = lw.edits.ablate(model, v, against={0: protected[0], 2: protected[1]})
    left = [line["what"] for line in by_layer.describe() if not line["edited"]]
    assert left.count("no vector to be orthogonal to is given for layer 1") == 2
    with pytest.raises(ValueError, match="lies in the span of against"):
        lw.edits.ablate(model, protected.sum(0), against=protected)
    with pytest.raises(ValueError, match="against is missing, which method 'projected'"):
        lw.edits.ablate(model, v, "projected")


# --- what is refused, rows, nulls -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "oblique"}, "read is missing, which method 'oblique'"),
        ({"read": torch.ones(30)}, "read is given, which method 'plain' does not take"),
        ({"method": "oblique", "read": torch.ones(2, 30)}, "read has 2 vectors, expected as many"),
        ({"method": "ridge"}, "ridge is 0, expected a positive number"),
        ({"ridge": 0.5}, "ridge is 0.5, which method 'plain' does not take"),
        ({"method": "subspace", "direction": torch.ones(2, 30)}, "span only 1 dimensions"),
        ({"against_strength": float("inf"), "against": torch.ones(30)}, "against_strength is inf"),
        ({"against": torch.zeros(30)}, "against is zero"),
    ],
)
def test_bad_methods(tiny: Tiny, arguments: dict[str, Any], message: str) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(ValueError, match=message):
        lw.edits.ablate(model, **({"direction": torch.arange(30.0)} | arguments))


def test_read_that_sees_nothing_is_refused(tiny: Tiny) -> None:
    model = lw.load(tiny("llama"))
    v, read = torch.eye(30, dtype=torch.float64)[:2]
    with pytest.raises(ValueError, match="read sees nothing of direction"):
        lw.edits.ablate(model, v, "oblique", read=read)


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_separate_edits(tiny: Tiny, tmp_path: Path, method: str) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    tokens = random_tokens(3, 7)
    case = METHODS[method]
    v = torch.stack(
        [torch.stack([direction(model, 3 * i + k) for k in range(2)]) for i in range(3)]
    )
    other = v + torch.stack([torch.stack([direction(model, 30 + i)] * 2) for i in range(3)])
    other[:, 1] += direction(model, 40)
    more: dict[str, Any] = {"ridge": {"ridge": 0.3}, "oblique": {"read": other},
                            "projected": {"against": other}}.get(method, {})  # fmt: skip
    given = v if case.several else v[:, 0]
    edit = lw.edits.ablate(model, given, method, strength=STRENGTH, rows=True, **more)
    with model.edited(edit):
        together = model(tokens)
    for row in range(3):
        own = {k: x[row] if isinstance(x, torch.Tensor) else x for k, x in more.items()}
        alone = lw.edits.ablate(model, given[row], method, strength=STRENGTH, **own)
        with model.edited(alone):
            assert relative_error(together[row : row + 1], model(tokens[row : row + 1])) < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_random_likeness(tiny: Tiny, tmp_path: Path, method: str) -> None:
    model = loaded(tiny, tmp_path, "llama")
    edit = METHODS[method].make(model, directions(model), others(model))
    null = [lw.edits.random_like(edit, model, seed=3, index=i) for i in range(3)]
    assert len({e.id for e in null}) == 3
    assert null[1].id == lw.edits.random_like(edit, model, seed=3, index=1).id
    assert all(e.writers() == edit.writers() for e in null)
    assert all(e.provenance["method"] == method for e in null)
