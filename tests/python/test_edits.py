"""Edits as values: made, described, applied and taken back, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from editing import (
    DTYPES,
    FAMILIES,
    KEPT,
    direction,
    general_factors,
    hashes,
    loaded,
    reference,
    reference_bias,
    stored_as,
)
from support import random_tokens, same

Tiny = Callable[..., Path]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_applied_is_the_formula_rounded_once(
    tiny: Tiny, tmp_path: Path, name: str, dtype: str
) -> None:
    model = loaded(tiny, tmp_path, name, dtype)
    before = {n: t.clone() for n, t in model.parameters().items()}
    sums = hashes(model)
    v = direction(model)
    unit = (v / v.norm())[None]
    plain = {w["name"]: {"U": unit, "V": unit} for w in model.writers()}
    for edit, factors in (
        (lw.edits.ablate(model, v), plain),
        (lw.edits.from_factors(model, general_factors(model)), general_factors(model)),
    ):
        edit.apply(model)
        after = model.parameters()
        touched = set()
        for writer in model.writers():
            own = factors[writer["name"]]
            axis, weight = writer["residual_axis"], writer["weight"]
            checks = [(weight, reference(before[weight], own, axis))]
            if writer["bias"]:
                checks.append((writer["bias"], reference_bias(before[writer["bias"]], own)))
            for stored, exact in checks:
                touched.add(stored)
                value = after[stored]
                assert value.dtype == DTYPES[dtype]
                numbers = torch.finfo(value.dtype)
                slack = 1e-14 * before[stored].double().abs().max() + numbers.tiny * numbers.eps / 2
                if dtype != "float64":  # there the order of the sums is all the difference
                    assert (exact.to(value.dtype) == value).double().mean() > 0.995, stored
                error = (value.double() - exact).abs()
                assert (error <= 1.001 * numbers.eps / 2 * exact.abs() + slack).all(), stored
            if edit.provenance["method"] == "plain":
                w = after[weight].double()
                along = unit @ w if axis == 0 else w @ unit.T
                assert along.norm() / before[weight].double().norm() < KEPT[dtype]
        assert all(same(after[n], t) for n, t in before.items() if n not in touched)
        edit.revert(model)
        assert hashes(model) == sums


def test_apply_and_revert_keep_count(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    sums = hashes(model)
    attention = lw.edits.ablate(model, direction(model), writers="attention")
    embedding = lw.edits.ablate(model, direction(model), writers="token_embedding")
    everything = lw.edits.ablate(model, direction(model))
    with pytest.raises(ValueError, match=r"carries no edit, expected edit\.apply"):
        attention.revert(model)
    attention.apply(model)
    embedding.apply(model)
    assert attention.is_applied(model)
    assert not everything.is_applied(model)
    with pytest.raises(ValueError, match=r"already carries an edit; expected edit\.revert"):
        everything.apply(model)
    with pytest.raises(ValueError, match=r"carries another edit|carries no edit"):
        everything.revert(model)
    assert "lm_head.weight" in model.parameters()
    assert hashes(model)["lm_head.weight"] == sums["transformer.wte.weight"]
    embedding.revert(model)
    lw.edits.ablate(model, direction(model), writers="attention").revert(model)  # an equal edit
    assert hashes(model) == sums


def test_tied_embedding_is_untied(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama-grouped")
    edit = lw.edits.ablate(model, direction(model), writers=["token_embedding"])
    unembedding, embedding = model.W_U.clone(), model.W_E.clone()
    names = sorted(model.weights())
    assert "unembedding untied and kept" in repr(edit.describe())
    edit.apply(model)
    assert same(model.W_U, unembedding)
    assert not same(model.W_E, embedding)
    edit.revert(model)
    assert sorted(model.weights()) == names
    assert same(model.W_E, embedding)


def test_other_base_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama", "float32")
    edit = lw.edits.ablate(model, direction(model))
    other = lw.load(stored_as(tiny("llama"), tmp_path / "other", "float64"))
    sums = hashes(other)
    with pytest.raises(ValueError, match=r"has SHA-256 .* but the edit was made for"):
        edit.apply(other)
    assert hashes(other) == sums
    name = "model.layers.1.mlp.down_proj.weight"
    model.parameters()[name].add_(1.0)  # in place: noticed, though the hash was taken before
    with pytest.raises(ValueError, match=f"'{name}' has SHA-256"):
        edit.apply(model)


def test_writers_are_chosen_and_described(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    v = direction(model)

    def edited(writers: Any) -> list[str]:
        lines = lw.edits.ablate(model, v, writers=writers).describe()
        assert len(lines) == 8
        assert all(line["what"] for line in lines)
        return [line["writer"] for line in lines if line["edited"]]

    mlps = [f"blocks.{layer}.mlp.W_out" for layer in range(3)]
    assert len(edited("all")) == 8
    assert edited("mlp") == mlps
    assert edited(["positional_embedding", "blocks.1.attn.W_O"]) == [
        "pos_embed.W_pos",
        "blocks.1.attn.W_O",
    ]
    assert edited("blocks.{1..2}.mlp.*") == mlps[1:]
    lines = lw.edits.ablate(model, {1: v}).describe()
    reasons = {line["writer"]: line["what"] for line in lines if not line["edited"]}
    assert "no direction is given for layer 0" in reasons["blocks.0.mlp.W_out"]
    assert "it is in none" in reasons["embed.W_E"]
    edit = lw.edits.ablate(model, v, writers="mlp", strength=0.5)
    assert "3 of 8 writers; removes 1 direction (strength 0.5), bias included" in repr(edit)
    assert "left alone: not among the writers asked for ('mlp')" in repr(edit.describe())
    assert "<table>" in edit._repr_html_()


def test_length_and_type_of_a_direction_do_not_matter(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    v = torch.randn(30)
    unit = v.double() / v.double().norm()
    for other in (v, 1e-30 * v.double(), 1e300 * unit, v.clone().requires_grad_()):
        edit = lw.edits.ablate(model, other)
        assert torch.allclose(edit.factors()["embed.W_E"]["V"], unit[None], rtol=1e-14, atol=0)


def test_choice_and_directions_are_unpacked(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")

    class Choice:
        vector = direction(model)
        provenance = {"fit": {"digests": ["a"]}, "point": "blocks.1.hook_resid_pre"}  # noqa: RUF012

    edit = lw.edits.ablate(model, Choice())
    assert edit.id == lw.edits.ablate(model, Choice.vector).id
    assert edit.provenance["fit"] == {"digests": ["a"]}
    assert edit.provenance["direction"]["point"] == "blocks.1.hook_resid_pre"
    assert edit.provenance["method"] == "plain"


def test_save_and_load(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    for i, edit in enumerate(
        (
            lw.edits.ablate(
                model, direction(model), writers=["mlp", "token_embedding"], strength=0.3
            ),
            lw.edits.from_factors(model, general_factors(model, rows=2), {"note": "ünïcode"}),
            lw.edits.from_factors(model, {}),
        )
    ):
        path = tmp_path / f"{i}.safetensors"
        edit.save(path)
        again = lw.edits.load(path)
        assert (again.id, again.rows, again.provenance) == (edit.id, edit.rows, edit.provenance)
        assert again.bases == edit.bases
        assert again.describe() == edit.describe()
        with pytest.raises(FileExistsError):
            edit.save(path)
    edit = lw.edits.ablate(model, direction(model))
    edit.save(tmp_path / "edit.safetensors")
    edit.apply(model)
    lw.edits.load(tmp_path / "edit.safetensors").revert(model)


def test_what_is_no_edit_is_not_loaded(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lw.edits.load(tmp_path / "missing.safetensors")
    with pytest.raises(lw.CheckpointError, match="is no edit"):
        lw.edits.load(tiny("llama") / "model.safetensors")


def test_random_like_is_the_same_edit_of_another_direction(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    edit = lw.edits.ablate(model, direction(model), writers="mlp", strength=0.5)
    null = [lw.edits.random_like(edit, model, seed=3, index=i) for i in range(3)]
    assert len({e.id for e in null}) == 3
    assert null[1].id == lw.edits.random_like(edit, model, seed=3, index=1).id
    for other in null:
        assert [d["what"] for d in other.describe() if d["edited"]] == [
            d["what"] for d in edit.describe() if d["edited"]
        ]
    with pytest.raises(ValueError, match="made by 'factors'"):
        lw.edits.random_like(lw.edits.from_factors(model, {}), model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "plian"},
            r"method is 'plian', expected one of \['plain', .*\]; did you mean 'plain'",
        ),
        ({"writers": "atention"}, "writers has 'atention'.*did you mean 'attention'"),
        ({"writers": ["mlp", "blocks.0.mlp.W_in"]}, "did you mean 'blocks.0.mlp.W_out'"),
        ({"writers": "positional_embedding"}, "matches no writer of this model"),
        ({"writers": "blocks.7.*"}, "matches no writer of this model"),
        ({"writers": []}, "writers is empty"),
        ({"strength": float("nan")}, "strength is nan, expected a finite number"),
        ({"direction": torch.zeros(30)}, "direction is zero"),
        ({"direction": torch.full((30,), torch.inf)}, "direction has numbers that are not finite"),
        ({"direction": torch.ones(29)}, r"direction has shape \[29\], expected \[30\]"),
        ({"direction": torch.ones(2, 30)}, r"shape \[2, 30\], expected \[30\]"),
        ({"direction": torch.ones(30), "rows": True}, r"shape \[30\], expected \[rows, 30\]"),
        ({"direction": torch.eye(30)[:2] * torch.tensor([[1.0], [0.0]]), "rows": True}, "is zero"),
        ({"direction": {}}, "empty mapping"),
        ({"direction": {1: torch.zeros(30)}}, "direction of layer 1 is zero"),
    ],
)
def test_bad_ablations(tiny: Tiny, arguments: dict[str, Any], message: str) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(ValueError, match=message):
        lw.edits.ablate(model, **({"direction": torch.ones(30)} | arguments))


def test_bad_kinds_of_direction(tiny: Tiny) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(TypeError, match=r"direction is list, expected a tensor \[d_model\]"):
        lw.edits.ablate(model, [1.0] * 30)  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="direction has layer 3, expected 0 to 2"):
        lw.edits.ablate(model, {3: torch.ones(30)})


@pytest.mark.parametrize(
    ("writer", "factors", "message"),
    [
        ("blocks.0.attn.W_o", {"S": torch.ones(30)}, "did you mean 'blocks.0.attn.W_O'"),
        (
            "blocks.0.attn.W_O",
            {"Q": torch.ones(30)},
            "have 'Q', expected S, U, V, C, A, B or shift",
        ),
        ("blocks.0.attn.W_O", {"S": torch.ones(31)}, r"factor S of .* has shape \[31\]"),
        ("blocks.0.attn.W_O", {"U": torch.ones(1, 30)}, "U and V .* one is missing"),
        (
            "blocks.0.attn.W_O",
            {"U": torch.ones(1, 30), "V": torch.ones(2, 30)},
            "have 1 and 2 vectors",
        ),
        ("blocks.0.attn.W_O", {"C": torch.full((30,), torch.nan)}, "not finite"),
        ("blocks.0.attn.W_O", {"shift": torch.ones(30)}, "no bias to shift"),
        (
            "blocks.0.attn.W_O",
            {"S": torch.ones(2, 30), "C": torch.ones(3, 30)},
            "has 3 rows, but another has 2",
        ),
    ],
)
def test_bad_factors(
    tiny: Tiny, writer: str, factors: dict[str, torch.Tensor], message: str
) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(ValueError, match=message):
        lw.edits.from_factors(model, {writer: factors})


def test_edit_of_another_model_is_refused(tiny: Tiny) -> None:
    small, large = lw.load(tiny("llama")), lw.load(tiny("llama-grouped"))
    positions = lw.load(tiny("gpt2"))
    edit = lw.edits.ablate(positions, torch.ones(30))
    with small.edited(edit), pytest.raises(ValueError, match=r"'pos_embed\.W_pos', which"):
        small(random_tokens(1, 4))
    with pytest.raises(ValueError, match=r"'pos_embed\.W_pos', which"):
        edit.apply(small)
    edit = lw.edits.ablate(small, torch.ones(30))
    with large.edited(edit), pytest.raises(ValueError, match="residual of 30, but d_model is 40"):
        large(random_tokens(1, 4))
    with pytest.raises(ValueError, match=r"has shape \[1, 30\]"):
        edit.apply(large)
