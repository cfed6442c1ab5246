"""Steerings as values: described, compared, saved and loaded, refused where they are wrong."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from editing import loaded
from steering_formulas import along
from support import random_tokens, same

Tiny = Callable[..., Path]
steering = lw.steering
V = torch.ones(30)


def many(model: lw.Model) -> Any:
    """A steering with everything in it."""
    v, w = along(model), along(model, 1)
    return (
        steering.add(v, 0.4, "relative", {1: 7.5, 2: 9.0}, layers=[1, 2],
                     positions=["last", "decode"])
        + 0.5 * steering.swap({0: v, 2: w}, {0: w, 2: v}, at="mlp_out")
        + steering.clamp(v, 0.2, "token", layers=-1,
                         when=steering.when(w, 0.1, "token", below=True))
        + steering.add(w, 2.0, layers="all", preserve_norm=True, over_tokens={0: 1.0, 4: 0.1},
                       over_layers={0: 0.0, 2: 1.0}, positions=[slice(1, -1), 0])
    )  # fmt: skip


def test_saved_and_loaded_bit_for_bit(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    value, path = many(model), tmp_path / "s.safetensors"
    value.save(path)
    again = steering.load(path)
    assert (again, again.id, repr(again)) == (value, value.id, repr(value))
    assert again.provenance == value.provenance
    tokens = random_tokens(2, 6)
    with model.steered(value):
        expected = model(tokens)
    with model.steered(again):
        assert same(model(tokens), expected)
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with pytest.raises(FileExistsError):
        value.save(path)
    with pytest.raises(FileNotFoundError):
        steering.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds no steering"):
        steering.load(tiny("llama") / "model.safetensors")
    assert steering.is_steering(path)
    assert not steering.is_steering(tiny("llama") / "model.safetensors")


def test_it_says_what_it_does(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    assert repr(many(model)) == (
        "Steering(add 0.4 x the mean norm at resid_pre of layers 1..2, positions last + decode; "
        "then 0.5 x (swap) at mlp_out of layers 0, 2; then clamp to 0.2 x the token's norm at "
        "resid_pre of layer -1, when the cosine is below 0.1; then add 2 at resid_pre of all "
        "layers, positions 1:-1 + 0, over tokens {0: 1, 4: 0.1}, over layers {0: 0, 2: 1}, norm "
        "preserved)"
    )
    assert (
        "<li>project out at writes of all layers</li>"
        in steering.project(V, layers="all", at="writes")._repr_html_()
    )


def test_it_cannot_be_changed(tiny: Tiny, tmp_path: Path) -> None:
    v = torch.ones(30)
    value = steering.add(v, 1.0, layers=1)
    name = value.id
    v.zero_()
    assert value.id == name
    with pytest.raises(AttributeError):
        value.terms = ()
    with pytest.raises(AttributeError):
        value.terms[0].strength = 2.0
    assert value == steering.add(torch.ones(30), 1.0, layers=1)
    assert value != steering.add(torch.ones(30), 2.0, layers=1)
    assert len({value, steering.add(torch.ones(30), 1.0, layers=1)}) == 1


def test_choices_and_directions_bring_their_layer_length_and_origin() -> None:
    model = embedded.model()
    splits = embedded.splits()
    stats = model.collect(splits.fit, points="blocks.2.hook_resid_pre", positions="last")
    found = lw.directions.difference_of_means(stats)
    value = steering.add(found, 1.0, unit="own")
    assert value.terms[0].layers == (2,)
    raw = found.raw("blocks.2.hook_resid_pre", "last")
    assert torch.equal(value.terms[0].aim.whole, raw)
    assert value.provenance["fit"]["digests"] == splits.fit.digests
    tokens = model.chat_tokens("make a kettle")
    hook = ("blocks.2.hook_resid_pre", lambda x, hook: x + raw.float())
    expected = model.run_with_hooks(tokens, [hook])
    with model.steered(value):
        assert torch.allclose(model(tokens), expected, atol=1e-4)

    class Choice:
        vector, layer, raw = V, 1, 3 * V
        provenance = {"fit": {"digests": ["a"]}}  # noqa: RUF012

    value = steering.project(Choice(), positions="decode")
    assert value.terms[0].layers == (1,)
    assert float(value.terms[0].aim.whole.norm()) == pytest.approx(float((3 * V).norm()))
    both = value + steering.swap(V, -V, layers=0, when=steering.when(Choice(), 1.0))
    assert both.provenance["fit"]["digests"] == ["a"]
    assert both.provenance["terms"][0]["operation"] == "project"


def test_nulls_are_the_same_with_random_directions(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    value = many(model)
    nulls = [value.random_like(seed=3, index=i) for i in range(3)]
    assert len({null.id for null in nulls}) == 3
    assert nulls[1] == value.random_like(seed=3, index=1)
    for null in nulls:
        assert repr(null) == repr(value)
        for mine, theirs in zip(null.terms, value.terms, strict=True):
            lengths = [
                [float(t.norm()) for t in term.aim.tensors.values()] for term in (mine, theirs)
            ]
            assert lengths[0] == pytest.approx(lengths[1])
        assert null.terms[2].condition is value.terms[2].condition
    seen = torch.stack([n.terms[0].aim.unit(1) for n in nulls] + [nulls[0].terms[1].other.unit(0)])
    assert (seen @ seen.T - torch.eye(4)).abs().max() < 0.8


@pytest.mark.parametrize("function", [steering.add, steering.project, steering.when])
def test_examples_are_true(function: Any) -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(function, globs={"lw": lw, "torch": torch}):
        runner.run(example)
    assert runner.summarize().attempted == 1
    assert runner.summarize().failed == 0
