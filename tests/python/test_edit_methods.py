"""Methods of edits against their formulas, and against what other programs get wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
from edit_methods import METHODS, STRENGTH, directions, length_one, others, written
from editing import direction, hashes, loaded, matrix_of, stored_as
from editing_families import Family, prepared
from lenswright.verify import relative_error
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


# --- what other programs get wrong ----------------------------------------------------------------
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


# --- strengths ------------------------------------------------------------------------------------
def test_a_kernel_is_its_formula(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    v = direction(model)
    kernel = lw.edits.Kernel(position=1.25, distance=1.0, max_weight=1.2, min_weight=0.2)
    edit = lw.edits.ablate(model, v, strength={"mlp": kernel, "attention": {0: 0.5}})
    unit = length_one(v)
    factors = edit.factors()
    found = {name: float(f["U"][0] @ unit) for name, f in factors.items()}
    expected = {f"blocks.{i}.mlp.W_out": 1.2 + abs(i - 1.25) * (0.2 - 1.2) for i in (1, 2)}
    expected |= {"blocks.0.attn.W_O": 0.5}
    assert found == pytest.approx(expected, rel=1e-14)
    why = {line["writer"]: line["what"] for line in edit.describe() if not line["edited"]}
    assert why["blocks.0.mlp.W_out"] == "farther than 1 layers from 1.25"
    assert why["blocks.2.attn.W_O"] == "no strength is given for layer 2"
    assert why["embed.W_E"] == "no strength is given for kind 'token_embedding'"
    assert edit.provenance["strength"]["mlp"]["kernel"]["position"] == 1.25
    everywhere = lw.edits.ablate(model, v, strength=lw.edits.Kernel(1, 5))
    why = {line["writer"]: line["what"] for line in everywhere.describe() if not line["edited"]}
    assert why["pos_embed.W_pos"] == "strengths are given for layers, and it is in none"


@pytest.mark.parametrize(
    ("strength", "kind", "message"),
    [
        ({"atention": 1.0}, ValueError, "did you mean 'attention'"),
        ({7: 1.0}, IndexError, "strength has layer 7, expected 0 to 2"),
        ({"mlp": {-1: 1.0}}, IndexError, "strength has layer -1"),
        ({"mlp": "much"}, TypeError, "strength has str, expected a number, a Kernel"),
        ({"mlp": float("nan")}, ValueError, "strength is nan"),
    ],
)
def test_bad_strengths(tiny: Tiny, strength: Any, kind: type[Exception], message: str) -> None:
    model = lw.load(tiny("llama"))
    with pytest.raises(kind, match=message):
        lw.edits.ablate(model, torch.ones(30), strength=strength)


@pytest.mark.parametrize(("position", "distance"), [(1.0, 0.0), (1.0, -2.0), (float("inf"), 1.0)])
def test_bad_kernels(position: float, distance: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        lw.edits.Kernel(position, distance)


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
