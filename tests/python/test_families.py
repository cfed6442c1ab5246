"""Every family against lifted transformers: points, gradients, generation, and what is saved."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

import lenswright as lw
from families import CASES, ROWS
from families.table import LIMITS, record
from lenswright.reference import Reference
from lenswright.verifying.lifted import lifted
from support import next_token_loss, random_tokens, worst

INDICES = "mlp.hook_expert_indices"
CHOSEN = (INDICES, "mlp.hook_expert_weights", "mlp.hook_expert_out")
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


def by_expert(points):
    """The chosen experts of each token in the order of their numbers, weights and outputs too."""
    points = dict(points)
    for name in [n for n in points if n.endswith(INDICES)]:
        at = name.removesuffix(INDICES)
        order = points[name].argsort(-1)
        for part in CHOSEN:
            value = points[at + part]
            index = order if value.ndim == 3 else order.unsqueeze(-1).expand_as(value)
            points[at + part] = value.gather(2, index)
    return points


def compare(ours, theirs):
    """The worst relative error; choices of experts must be the same."""
    ours, theirs = by_expert(ours), by_expert(theirs)
    for choice in [n for n in theirs if n.endswith(INDICES)]:
        assert torch.equal(ours.pop(choice), theirs.pop(choice)), choice
    return worst(ours, theirs)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "knob"), CASES)
def test_every_point(family, name, knob, seed):
    folder, tokens = family(name, knob, seed=seed), random_tokens(3, 13)
    reference = Reference(folder)
    theirs = reference.points(tokens)
    theirs["logits"] = reference.points(tokens, ["logits"])["logits"]
    for dtype in ("float64", "float32"):
        model = lw.load(folder, dtype=dtype)
        assert set(model.points()) == set(theirs) - {"logits"}
        logits, cache = model.run_with_cache(tokens)
        shapes = {name: len(shape) for name, shape in model.points().items()}
        assert shapes == {name: cache[name].ndim for name in shapes}
        error, where = compare({**cache, "logits": logits}, theirs)
        record(name, knob, dtype, error, where)
        assert error <= LIMITS[dtype], f"{where} in {dtype}"


@pytest.mark.parametrize(("name", "knob"), CASES)
def test_gradients(family, name, knob):
    folder, tokens = family(name, knob, seed=0), random_tokens(2, 9)
    model = lw.load(folder, dtype="float64")
    _, cache = model.run_with_cache(tokens, incl_bwd=True, return_type="loss")
    points, _ = Reference(folder).gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    theirs = {f"{n}_grad": g for n, g in points.items() if f"{n}_grad" in cache}
    assert len(theirs) > 3 * model.cfg.n_layers
    # Chosen experts stand in another order there, and a router that chooses one has no say: its
    # gradient is nothing but rounding.
    nothing = 1e-14 * max(g.abs().max() for g in theirs.values())
    empty = {n for n, g in theirs.items() if g.abs().max() <= nothing}
    assert all(cache[n].abs().max() <= nothing for n in empty)
    kept = {n: g for n, g in theirs.items() if not n[:-5].endswith(CHOSEN) and n not in empty}
    error, where = worst(cache, kept)
    record(name, knob, "gradients", error, where.removesuffix("_grad"))
    assert error <= LIMITS["gradients"], where


def longer(name, knob):
    """The changes of a row's config that let it read and write 144 tokens."""
    settings = ROWS[name].settings(knob)
    return {key: 256 for key in CONTEXT if key in settings}


@pytest.mark.parametrize("name", ROWS)
def test_greedy_generation(family, name):
    folder, prompt = family(name, "", **longer(name, "")), random_tokens(1, 9)
    reference = Reference(folder)
    with torch.no_grad(), lifted():
        theirs = reference.model.generate(
            prompt, max_new_tokens=128, do_sample=False, eos_token_id=None, pad_token_id=0
        )[0, 9:]
    model = lw.load(folder, dtype="float64")
    ours = model.generate(prompt, max_new_tokens=128, stop_at_eos=False)[0, 9:]
    record(name, "", "generation", float((ours != theirs).sum()))
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("name", ROWS)
def test_a_commit_of_nothing_changes_no_byte(family, name, tmp_path):
    folder = family(name, "")
    model = lw.load(folder)
    lw.edits.from_factors(model, {}).commit(folder, tmp_path / "out", progress=False)
    before, after = folder / "model.safetensors", tmp_path / "out" / "model.safetensors"
    differing = sum(
        not torch.equal(value, load_file(after)[key]) for key, value in load_file(before).items()
    )
    record(name, "", "saved", differing)
    assert before.read_bytes() == after.read_bytes()
