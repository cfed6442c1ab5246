"""Steerings as values: described, compared, saved and loaded, refused where they are wrong."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

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


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["terms"][0].pop("operation"),
        lambda facts: facts["terms"][0].update(operation="ad"),
        lambda facts: facts["terms"][0].update(strength=float("inf")),
        lambda facts: facts["terms"].append(facts["terms"][0]),
        lambda facts: facts.pop("terms"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    path = tmp_path / "s.safetensors"
    steering.add(V, 1.0, layers=1).save(path)
    facts = {"terms": [steering_facts(path)]}
    change(facts)
    spoilt = tmp_path / "spoilt.safetensors"
    save_file(load_file(path), spoilt, {"lenswright.steering": json.dumps(facts)})
    with pytest.raises(ValueError, match=r"damaged|operation is|strength is"):
        steering.load(spoilt)


def steering_facts(path: Path) -> Any:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return json.loads(header["__metadata__"]["lenswright.steering"])["terms"][0]


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steering.add(torch.zeros(30), 1.0, layers=1), "direction is zero, expected a dir"),
        (lambda: steering.add(V * torch.nan, 1.0, layers=1), "direction has numbers that are not"),
        (lambda: steering.add({1: V, 2: 0 * V}, 1.0), "direction of layer 2 is zero"),
        (lambda: steering.add({1: V, 2: V[1:]}, 1.0), r"sizes \{1: 30, 2: 29\}, expected one size"),
        (lambda: steering.add({}, 1.0), "empty mapping"),
        (lambda: steering.add(torch.ones(2, 30), 1.0, layers=1), r"shape \[2, 30\], expected"),
        (lambda: steering.add(V, 1.0), "layers is missing, expected a layer, several, or 'all'"),
        (lambda: steering.add(V, 1.0, layers="al"), "layers is 'al', expected whole numbers or"),
        (lambda: steering.add(V, 1.0, layers=[]), "layers is empty"),
        (lambda: steering.add(V, 1.0, layers=[1, 1]), r"\[1, 1\], expected none twice"),
        (lambda: steering.add(V, 1.0, layers=[1.5]), "layers has 1.5"),
        (lambda: steering.add({1: V}, 1.0, layers=2), r"direction has vectors of \[1\] only"),
        (lambda: steering.add(V, float("nan"), layers=1), "strength is nan, expected a finite"),
        (lambda: steering.add(V, 1.0, "norm", layers=1), r"unit is 'norm', expected one of"),
        (lambda: steering.add(V, 1.0, "relative", layers=1), "needs norms: {layer: mean norm}"),
        (lambda: steering.add(V, 1.0, norms={1: 2.0}, layers=1), "expected 'relative'"),
        (lambda: steering.add(V, 1.0, "relative", {2: 2.0}, layers=1), r"norms has \[2\] only"),
        (lambda: steering.add(V, 1.0, "relative", {1: 0.0}, layers=1), "expected positive numbers"),
        (lambda: steering.cap(V, 1.5, "token", layers=1), "strength is 1.5, expected -1 to 1"),
        (lambda: steering.make("ad", V, layers=1), "operation is 'ad'.*did you mean 'add'"),
        (lambda: steering.make("project", V, unit="own", layers=1), "'project' has none"),
        (lambda: steering.make("swap", V, layers=1), "other is missing, but operation is 'swap'"),
        (lambda: steering.swap(V, 2 * V, layers=1), "are the same direction, expected two"),
        (lambda: steering.swap(V, torch.ones(29), layers=1), "other has 29 numbers, expected 30"),
        (lambda: steering.add(V, 1.0, layers=1, positions="decod"), "did you mean 'decode'"),
        (lambda: steering.add(V, 1.0, layers=1, positions=[]), "positions is empty"),
        (lambda: steering.add(V, 1.0, layers=1, positions=slice(3, 3)), "holds no position"),
        (lambda: steering.add(V, 1.0, layers=1, positions=slice(0, 4, 2)), "step 1"),
        (lambda: steering.add(V, 1.0, layers=1, over_tokens={}), "over_tokens is empty"),
        (lambda: steering.add(V, 1.0, layers=1, over_tokens={-1: 1.0}), "whole numbers from 0"),
        (lambda: steering.when(V, 1.0, "token"), "threshold is 1, expected a cosine between"),
        (lambda: steering.when(V, float("inf")), "threshold is inf, expected a finite number"),
        (lambda: steering.when(V, 1.0, "own"), "unit of when is 'own'"),
        (lambda: steering.add(V, 1.0, layers=1) + steering.project(V[1:], layers=1), "29, 30"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_at_once(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_wrong_kinds_are_refused() -> None:
    for call, message in (
        (lambda: steering.add([1.0] * 30, 1.0, layers=1), "direction is list, expected a tensor"),
        (lambda: steering.add(torch.ones(30, dtype=torch.int64), 1.0, layers=1), "is torch.int64"),
        (lambda: steering.add(V, "4", layers=1), "strength is str, expected a number"),
        (lambda: steering.add(V, 1.0, layer=1), r"no argument 'layer'; did you mean 'lay"),
        (lambda: steering.add(V, 1.0, layers=1, when=V), r"expected lw\.steering\.when"),
        (lambda: embedded.model().generate("x", steering=V), "steering is Tensor, expected"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(TypeError):
        steering.add(V, 1.0, layers=1) * "2"  # type: ignore[operator]


def test_other_models_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    wide = lw.load(tiny("llama-grouped"))
    value = steering.add(V, 1.0, layers=1)
    refused = [
        (value, wide, ValueError, "directions of 30 numbers, but d_model is 40: .* another model"),
        (steering.add(V, 1.0, layers=3), model, IndexError, "layers has 3, expected -3 to 2"),
        (steering.add(V, 1.0, layers=[-1, 2]), model, ValueError, "names a layer of 3 twice"),
        (steering.add(V, 1.0, layers=1, at="resid_prep"), model, KeyError, "did you mean 'blocks"),
        (steering.add(V, 1.0, layers=1, at="attn.hook_z"), model, KeyError, "no point of this"),
        (steering.add({0: V}, 1.0, layers="all"), model, ValueError, r"vectors of \[0\] only"),
    ]
    for bad, where, error, message in refused:
        with pytest.raises(error, match=message), where.steered(bad):
            pass
        with pytest.raises(error, match=message):
            where.generate([[1, 2]], 1, steering=bad)
    half = loaded(tiny, tmp_path, "gpt2", "float16", "float16")
    with (
        half.steered(steering.add(V, 1e6, layers=1)),
        pytest.raises(ValueError, match="float16 holds"),
    ):
        half([[1, 2]])


def test_a_direction_says_which_model_it_is_from(tiny: Tiny, tmp_path: Path) -> None:
    model = embedded.model()
    stats = model.collect(embedded.splits().fit, points="blocks.2.hook_resid_pre", positions="last")
    value = steering.add(lw.directions.difference_of_means(stats), 1.0)
    with model.steered(value):
        model([[1, 2, 3]])
    made = value.terms[0].source["model"]
    made["config_sha256"] = "0" * 64
    with (
        pytest.warns(UserWarning, match=r"whose config\.json holds other settings"),
        model.steered(value),
    ):
        pass
    made["n_layers"] = 7
    with pytest.raises(
        ValueError, match=r"was made with .* \(7 layers of 96\), expected this model"
    ):
        model.generate([[1, 2]], 1, steering=value)


@pytest.mark.parametrize("function", [steering.add, steering.project, steering.when])
def test_examples_are_true(function: Any) -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(function, globs={"lw": lw, "torch": torch}):
        runner.run(example)
    assert runner.summarize().attempted == 1
    assert runner.summarize().failed == 0
