"""From which layer of which candidate each layer of a checkpoint came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.merging.moved_layers import layers_of, origins

DEPTH = 4


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two unrelated models of four layers, and norms near 1 in both."""
    folder = tmp_path_factory.mktemp("pair")
    out = []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        tensors = {"model.embed_tokens.weight": torch.randn(97, 30, generator=generator)}
        for layer in range(DEPTH):
            at = f"model.layers.{layer}."
            tensors[at + "mlp.up_proj.weight"] = torch.randn(301, 30, generator=generator)
            tensors[at + "self_attn.q_proj.weight"] = torch.randn(30, 30, generator=generator)
            norm = 1 + 0.01 * torch.randn(30, generator=generator)
            tensors[at + "input_layernorm.weight"] = norm
        tensors["model.norm.weight"] = torch.ones(30)
        tensors = {name: value.bfloat16() for name, value in tensors.items()}
        config = models.CONFIG | {"num_hidden_layers": DEPTH}
        config.pop("layer_types")
        out.append(models.save(folder / "ab"[seed], tensors, config))
    return out


def stack(pair: list[Path], parts: list[tuple[int, int, int]], to: Path) -> Path:
    """A frankenmerge of (model, first layer, end)."""
    slices = [
        {"sources": [{"model": str(pair[i]), "layer_range": [first, end]}]}
        for i, first, end in parts
    ]
    lw.merge({"merge_method": "passthrough", "slices": slices}, to)
    return to


def told(pair: list[Path], found: Any) -> list[tuple[str, int | None, bool]]:
    return [(Path(str(o.candidate)).name, o.layer, o.exact) for o in found.values()]


def test_a_frankenmerge_is_told_layer_by_layer(pair: list[Path], tmp_path: Path) -> None:
    out = stack(pair, [(0, 0, 3), (1, 1, 4), (0, 2, 4)], tmp_path / "out")
    found = lw.lineage(pair, out)
    want = [("a", i, True) for i in (0, 1, 2)] + [("b", i, True) for i in (1, 2, 3)]
    want += [("a", 2, True), ("a", 3, True)]
    assert told(pair, found.origins) == want
    assert list(found.origins) == list(range(8))
    assert f"layer 1 of {pair[1]}, byte for byte" in found.text()
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["origins"]["3"] == {
        "candidate": str(pair[1]), "layer": 1, "exact": True, "cosine": 1.0, "distance": 0.0
    }  # fmt: skip


def test_layers_in_another_order(pair: list[Path], tmp_path: Path) -> None:
    """As many layers as the candidates have, so that every tensor has its name there."""
    out = stack(pair, [(0, 3, 4), (1, 0, 2), (0, 0, 1)], tmp_path / "out")
    assert told(pair, lw.lineage(pair, out).origins) == [
        ("a", 3, True), ("b", 0, True), ("b", 1, True), ("a", 0, True)
    ]  # fmt: skip


def test_layers_that_were_tuned_after_they_were_moved(pair: list[Path], tmp_path: Path) -> None:
    """No bytes are the same: the nearest layer, and how near it is."""
    out = stack(pair, [(0, 1, 4), (1, 0, 3)], tmp_path / "out")
    tensors = models.load(out)
    generator = torch.Generator().manual_seed(9)
    for name, value in tensors.items():
        noise = torch.randn(value.shape, generator=generator)
        tensors[name] = (value.float() + 0.05 * value.float().std() * noise).bfloat16()
    tuned = models.save(tmp_path / "tuned", tensors, json.loads((out / "config.json").read_text()))
    found = origins([str(p) for p in pair], tuned)
    want = [("a", i, False) for i in (1, 2, 3)] + [("b", i, False) for i in (0, 1, 2)]
    assert told(pair, found) == want
    for one in found.values():
        assert 0.9 < one.cosine < 1
        assert 0.02 < one.distance < 0.1
        assert "nearest to layer" in one.text()


def test_one_byte_makes_a_layer_no_copy(pair: list[Path], tmp_path: Path) -> None:
    """Outside of what a sketch looks at, too: the bytes decide."""
    out = stack(pair, [(1, 0, 4)], tmp_path / "out")
    tensors = models.load(out)
    name = "model.layers.2.mlp.up_proj.weight"
    flat = tensors[name].flatten()
    flat[-2] = flat[-2] * 2
    tensors[name] = flat.reshape(301, 30)
    odd = models.save(tmp_path / "odd", tensors, json.loads((out / "config.json").read_text()))
    found = origins([str(p) for p in pair], odd)
    assert [o.exact for o in found.values()] == [True, True, False, True]
    assert (found[2].layer, found[2].cosine > 0.999) == (2, True)


def test_like_no_layer(pair: list[Path], tmp_path: Path) -> None:
    tensors = models.load(pair[0])
    other = {name: torch.randn_like(value.float()).bfloat16() for name, value in tensors.items()}
    stranger = models.save(tmp_path / "stranger", other, json.loads(
        (pair[0] / "config.json").read_text()))  # fmt: skip
    found = origins([str(p) for p in pair], stranger)
    assert all(o.candidate is None and abs(o.cosine) < 0.5 for o in found.values())
    assert "like no layer" in found[0].text()


def test_the_layer_of_the_same_number_first(pair: list[Path], tmp_path: Path) -> None:
    """A model that repeats a layer: what was not moved is not said to be."""
    twice = stack(pair, [(0, 0, 1), (0, 0, 1), (0, 1, 3)], tmp_path / "twice")
    found = origins([str(twice)], twice)
    assert [o.layer for o in found.values()] == [0, 1, 2, 3]
    assert list(layers_of(lw.Checkpoint(twice))) == [0, 1, 2, 3]


def test_averages_are_not_looked_for_elsewhere(pair: list[Path], tmp_path: Path) -> None:
    recipe = {
        "merge_method": "linear",
        "models": [{"model": str(p), "parameters": {"weight": 0.5}} for p in pair],
    }
    lw.merge(recipe, tmp_path / "out")
    assert lw.lineage(pair, tmp_path / "out").origins == {}


def test_verb(pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = stack(pair, [(0, 0, 4), (1, 3, 4)], tmp_path / "out")
    assert main(["lineage", *map(str, pair), "--of", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.count("byte for byte") == 5
