"""Arithmetic of edits: what the factors of sums, multiples and compositions make of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from editing import committed_hashes, direction, general_factors, hashes, loaded, matrix_of
from editing_families import Family, prepared
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

Tiny = Callable[..., Path]
Weights = dict[str, torch.Tensor]


def applied(model: lw.Model, edit: lw.edits.Edit) -> Weights:
    """The stored tensors under an edit, and the model as it was."""
    edit.apply(model)
    after = {name: tensor.clone() for name, tensor in model.parameters().items()}
    edit.revert(model)
    return {name: after[name] for name in model.parameters()}


def stored(model: lw.Model) -> Weights:
    return {name: tensor.clone() for name, tensor in model.parameters().items()}


def close(found: Weights, expected: Weights, limit: float = 1e-12) -> None:
    for name, value in expected.items():
        assert relative_error(found[name], value) < limit, name


def general(model: lw.Model, seed: int, names: str) -> lw.edits.Edit:
    return lw.edits.from_factors(model, general_factors(model, seed, names=names))


@pytest.mark.parametrize("name", ["gpt2", "llama-grouped"])
@pytest.mark.parametrize(
    ("first", "second"), [("UVABshift", "UVAB"), ("SUVshift", "UVAB"), ("SUV", "SUVABshift"),
                          ("SUVC", "ABshift"), ("C", "CAB"), ("AB", "SUVC"), ("S", "UV")],
)  # fmt: skip
def test_sum_and_difference(tiny: Tiny, tmp_path: Path, name: str, first: str, second: str) -> None:
    model = loaded(tiny, tmp_path, name)
    a, b = general(model, 1, first), general(model, 2, second)
    w, wa, wb = stored(model), applied(model, a), applied(model, b)
    close(applied(model, a + b), {n: wa[n] + wb[n] - w[n] for n in w})
    close(applied(model, b + a), {n: wa[n] + wb[n] - w[n] for n in w})
    if "C" not in second:
        close(applied(model, a - b), {n: w[n] + (wa[n] - w[n]) - (wb[n] - w[n]) for n in w})


@pytest.mark.parametrize("scale", [0.0, 0.3, -1.0, 2.5])
@pytest.mark.parametrize("names", ["UVABshift", "SUVABshift", "CAB", "S"])
def test_scaled(tiny: Tiny, tmp_path: Path, names: str, scale: float) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    edit = general(model, 1, names)
    w, we = stored(model), applied(model, edit)
    expected = {n: w[n] + scale * (we[n] - w[n]) for n in w}
    close(applied(model, scale * edit), expected)
    close(applied(model, edit * scale), expected)


@pytest.mark.parametrize("name", ["gpt2", "llama-grouped"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("SUVCABshift", "SUVCABshift"), ("UV", "UV"), ("S", "UV"), ("ABshift", "SUVC"), ("C", "AB")],
)
def test_composed(tiny: Tiny, tmp_path: Path, name: str, first: str, second: str) -> None:
    """One edit after another, by the same formula on the weights of the first."""
    model = loaded(tiny, tmp_path, name)
    a, b = general(model, 1, first), general(model, 2, second)
    folder = tmp_path / "first"
    a.commit(model.folder, folder, progress=False)
    again = lw.load(folder, dtype="float64")
    expected = applied(again, lw.edits.from_factors(again, general_factors(model, 2, names=second)))
    found = applied(model, a.then(b))
    close(found, {n: expected[n] for n in found})


@pytest.mark.parametrize("names", ["SUVCABshift", "UV", "SABshift", "C"])
def test_inverse(tiny: Tiny, tmp_path: Path, names: str) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    edit = general(model, 1, names)
    w = stored(model)
    identity = applied(model, edit.then(edit.inverse()))
    close(identity, w, 1e-11)
    edit.commit(model.folder, tmp_path / "out", progress=False)
    done = lw.load(tmp_path / "out", dtype="float64")
    back = edit.inverse()
    assert set(back.bases) == set()
    back.apply(done)
    close({n: done.parameters()[n] for n in w}, w, 1e-11)


def test_a_removed_direction_cannot_be_brought_back(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    edit = lw.edits.ablate(model, direction(model))
    with pytest.raises(ValueError, match="removes a direction whole, which nothing can bring back"):
        edit.inverse()
    half = lw.edits.ablate(model, direction(model), strength=0.5)
    assert half.then(half.inverse()).writers() == half.writers()
    reflected = lw.edits.ablate(model, direction(model), "reflection")
    close(applied(model, reflected.then(reflected)), stored(model))  # its own inverse
    assert relative_error(
        next(iter(reflected.inverse().factors().values()))["U"],
        next(iter(reflected.factors().values()))["U"],
    ) < 1e-14  # fmt: skip


def test_arithmetic_of_ablations_is_what_strengths_say(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    v, u = direction(model), direction(model, 1)
    half = lw.edits.ablate(model, v, strength=0.5)
    whole = lw.edits.ablate(model, v)
    close(applied(model, half + half), applied(model, whole))
    close(applied(model, 2 * half), applied(model, whole))
    close(applied(model, half.then(half)), applied(model, 1.5 * half))  # 1 - (1 - 1/2)²
    close(applied(model, whole.then(whole)), applied(model, whole))
    close(applied(model, whole - whole), stored(model))
    other = lw.edits.ablate(model, u, writers="mlp")
    both = whole + other
    assert [line["edited"] for line in both.describe()] == [True] * 8
    assert both.then(other).provenance["method"] == "composition"


def test_restricted(family: Family, tmp_path: Path) -> None:
    model = lw.load(prepared(family, tmp_path, ("qwen2_moe", "some dense", False)))
    whole = lw.edits.ablate(model, direction(model))
    for given, equal in (
        ({"writers": "attention"}, {"writers": "attention"}),
        ({"writers": ["attention", "blocks.2.*"]}, {"writers": ["attention", "blocks.2.*"]}),
        ({"layers": [1]}, {"writers": "blocks.1.*"}),
        ({"writers": "expert", "experts": [0, 2]}, {"writers": "blocks.*.mlp.experts.{0,2}.W_out"}),
    ):
        part = whole.restrict(**given)  # type: ignore[arg-type]
        assert part.id == lw.edits.ablate(model, direction(model), **equal).id, given
    part = whole.restrict(experts=[3])
    assert {n for n in whole.writers() if ".experts." not in n} <= set(part.writers())
    why = {line["writer"]: line["what"] for line in part.describe() if not line["edited"]}
    assert all(what == "not among the experts asked for" for what in why.values())
    with pytest.raises(ValueError, match="nothing of the edit is left"):
        whole.restrict(layers=[99])
    with pytest.raises(ValueError, match="did you mean 'attention'"):
        whole.restrict(writers="atention")


def test_restricted_to_heads_is_what_other_heads_write_unchanged(
    family: Family, tmp_path: Path
) -> None:
    for name, knob in (("gpt2", ""), ("llama", ""), ("deepseek_v3", "")):
        model = lw.load(prepared(family, tmp_path / f"{name}{knob}", (name, knob, False)))
        heads = model.cfg.n_heads
        edit = lw.edits.ablate(model, direction(model), strength=0.7)
        part = edit.restrict(heads=[1, heads - 1], model=model)
        assert all(n.endswith("attn.W_O") for n in part.writers())
        before, tensors = stored(model), applied(model, part)
        whole = applied(model, edit)
        for writer in model.writers():
            if writer["kind"] != "attention":
                continue
            old, new, all_ = (
                matrix_of(t[writer["weight"]], writer) for t in (before, tensors, whole)
            )
            if writer["residual_axis"] == 1:
                old, new, all_ = old.T, new.T, all_.T
            size = old.shape[1] // heads
            for head in range(heads):
                columns = slice(head * size, (head + 1) * size)
                wanted = all_ if head in (1, heads - 1) else old
                assert relative_error(new[:, columns], wanted[:, columns]) < 1e-12
        every = edit.restrict("attention").restrict(heads=range(heads), model=model)
        assert relative_error(
            applied(model, every)[writer_weight(model)], whole[writer_weight(model)]
        ) < 1e-12  # fmt: skip
    with pytest.raises(IndexError, match="heads has 9"):
        edit.restrict(heads=[9], model=model)
    with pytest.raises(ValueError, match="model is None"):
        edit.restrict(heads=[0])
    rows = lw.edits.ablate(model, direction(model), "row_norm")
    with pytest.raises(ValueError, match="scales its outputs"):
        rows.restrict(heads=[0], model=model)


def writer_weight(model: lw.Model) -> str:
    return next(w["weight"] for w in model.writers() if w["kind"] == "attention")


@pytest.mark.parametrize("name", ["gpt2", "llama-grouped"])
def test_results_are_edits_like_others(tiny: Tiny, tmp_path: Path, name: str) -> None:
    """Tried, applied, committed, saved and loaded, with rows."""
    model = loaded(tiny, tmp_path, name)
    tokens = random_tokens(3, 7)
    v, u = direction(model), direction(model, 1)
    kept = lw.edits.ablate(model, v, "row_norm", strength=0.5)
    edits = {
        "sum": lw.edits.ablate(model, v) + kept,
        "composition": kept.then(lw.edits.ablate(model, u, "write_norm", writers="mlp")),
        "scaled": -0.5 * kept,
        "inverse": kept.inverse(),
    }
    for label, edit in edits.items():
        with model.edited(edit):
            tried = model(tokens)
        edit.apply(model)
        there = model(tokens)
        assert relative_error(tried, there) < 1e-12
        done = hashes(model)
        edit.revert(model)
        edit.save(tmp_path / f"{label}.safetensors")
        again = lw.edits.load(tmp_path / f"{label}.safetensors")
        assert (again.id, again.describe()) == (edit.id, edit.describe())
        again.commit(model.folder, tmp_path / label, progress=False)
        assert committed_hashes(tmp_path / label) == done
    many = lw.edits.ablate(model, torch.stack([v, u, v + u]), rows=True, strength=0.5)
    both = many.then(kept)
    with model.edited(both):
        together = model(tokens)
    for row in range(3):
        with model.edited(many.row(row).then(kept)):
            alone = model(tokens[row : row + 1])
        assert relative_error(together[row : row + 1], alone) < 1e-12


def test_experts_share_the_factors_of_their_sum(family: Family, tmp_path: Path) -> None:
    model = lw.load(family("mixtral"))
    total = lw.edits.ablate(model, direction(model)) + lw.edits.ablate(model, direction(model, 1))
    assert len({f["U"].data_ptr() for f in total.factors().values()}) == 1
    total.save(tmp_path / "edit.safetensors")
    assert (tmp_path / "edit.safetensors").stat().st_size < 40_000


def test_what_cannot_be_said_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    other = lw.load(tiny("gpt2"), dtype="float64")
    kept = lw.edits.ablate(model, direction(model), "write_norm")
    with pytest.raises(ValueError, match=r"0\.5 times it has no form of its own"):
        0.5 * kept
    with pytest.raises(
        ValueError, match=r"their sum has no form of its own.*first\.then\(second\)"
    ):
        kept + lw.edits.ablate(model, direction(model))
    with pytest.raises(ValueError, match="made for different tensors"):
        lw.edits.ablate(model, direction(model)) + lw.edits.ablate(other, direction(other))
    with pytest.raises(ValueError, match="scale is nan"):
        float("nan") * kept
    with pytest.raises(TypeError):
        kept + 1.0  # type: ignore[operator]
    two, three = (lw.edits.ablate(model, torch.eye(30)[:n], rows=True) for n in (2, 3))
    with pytest.raises(ValueError, match="edits have 2 and 3 rows"):
        two + three


def test_prompts_that_parts_have_seen_are_seen_by_the_whole(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")

    def chosen(seed: int, **seen: Any) -> lw.edits.Edit:
        class Choice:
            vector = direction(model, seed)
            provenance = seen

        return lw.edits.ablate(model, Choice())  # type: ignore[arg-type]

    first = chosen(0, fit={"role": "fit", "digests": ["a"]}, select={"role": "s", "digests": ["x"]})
    second = chosen(1, fit={"role": "fit", "digests": ["b"]})
    for edit in (first + second, first.then(2 * second), (first - second).restrict("mlp")):
        assert edit.provenance["fit"]["digests"] == ["a", "b"]
        assert edit.provenance["select"]["digests"] == ["x"]


def test_random_likeness_of_what_was_made_of_others(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    a = lw.edits.ablate(model, direction(model))
    b = lw.edits.ablate(model, direction(model, 1), writers="mlp", strength=0.5)
    both = (a + b).restrict(layers=[0, 1])
    null = lw.edits.random_like(both, model, seed=1, index=2)
    assert null.writers() == both.writers()
    expected = lw.edits.random_like(a, model, 1, 2) + lw.edits.random_like(b, model, 1, 2)
    assert null.id == expected.restrict(layers=[0, 1]).id
    assert same(null.factors()["blocks.0.mlp.W_out"]["V"][0], a_direction(a, model))


def a_direction(edit: lw.edits.Edit, model: lw.Model) -> torch.Tensor:
    return lw.edits.random_like(edit, model, 1, 2).factors()["blocks.0.attn.W_O"]["V"][0]
