"""Coefficients of a soup: what they mean in a recipe, their gradients, and what is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
import merging_models as models
from lenswright.soups.coefficients import groups, recipe_of
from lenswright.soups.held_out import HeldOut
from lenswright.soups.learned import Blend
from test_soups import held_out
from test_soups import runs as runs


@pytest.mark.parametrize("per", ["model", "layer", "group", "tensor"])
def test_filters_mean_the_groups(per: str, runs: list[Path]) -> None:
    """Coefficients by group, summed in float64 by hand, are what the recipe merges to."""
    loaded = [{n: v.double() for n, v in models.load(f).items()} for f in runs[:3]]
    whole = groups(list(loaded[0]), per)
    assert sorted(name for group in whole for name in group.tensors) == sorted(loaded[0])
    counts = {"model": 1, "layer": 5, "group": 5, "tensor": len(loaded[0])}
    assert len(whole) == counts[per]
    values = torch.rand(2, len(whole), generator=torch.Generator().manual_seed(0)).double()
    names = [str(folder) for folder in runs[1:3]]
    got = lw.merged_model(recipe_of(names, values, whole, str(runs[0]))).parameters()
    for g, group in enumerate(whole):
        for name in group.tensors:
            base = loaded[0][name]
            want = base + sum(values[i, g] * (loaded[i + 1][name] - base) for i in range(2))
            models.judge(name, got[name], want.numpy())


@pytest.mark.parametrize("over_base", [False, True])
@pytest.mark.parametrize("per", ["model", "layer", "group"])
def test_gradients_by_coefficients(per: str, over_base: bool, runs: list[Path]) -> None:
    """Against central differences, all in float64."""
    recipe = {
        "merge_method": "linear", "out_dtype": "float64",
        "models": [{"model": str(f), "parameters": {"weight": 1.0}} for f in runs[:2]],
    }  # fmt: skip
    model = lw.merged_model(recipe, dtype="float64")
    base = models.load(embedded.MODEL) if over_base else None
    whole = groups(list(model.parameters()), per)
    blend = Blend(model, [models.load(folder) for folder in runs[:2]], base, whole)
    judge = HeldOut.of(model, held_out(6))
    generator = torch.Generator().manual_seed(1)
    at = 0.5 + 0.1 * torch.rand(2, len(whole), generator=generator, dtype=torch.float64)
    loss, slope = blend.gradient(judge, at)
    step = 1e-5
    for i in range(2):
        for g in range(len(whole)):
            ends = []
            for sign in (1, -1):
                moved = at.clone()
                moved[i, g] += sign * step
                blend.set(moved)
                ends.append(judge(model))
            numeric = (ends[0] - ends[1]) / (2 * step)
            assert float(slope[i, g]) == pytest.approx(numeric, rel=1e-5, abs=1e-8)
    blend.set(at)
    assert judge(model) == pytest.approx(loss, rel=1e-12)
    assert not any(value.requires_grad for value in model.parameters().values())


def test_learned_coefficients(runs: list[Path], tmp_path: Path) -> None:
    told: list[str] = []
    found = lw.soup(
        runs[:3], held_out(), "learned", steps=8, test=held_out(24, "test"), say=told.append
    )
    start, *_ = [taste for taste in found.trace if taste.what == "step 0"]
    assert found.value < start.value  # of the uniform soup
    assert found.value == pytest.approx(min(t.value for t in found.trace[3:]), rel=1e-5)
    shares = found.notes["coefficients"]["all"]
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) == shares[str(runs[2])]  # the one that is far off
    assert set(found.test) == {*map(str, runs[:3]), "the soup"}
    assert told == [str(taste) for taste in found.trace]
    finer = lw.soup(runs[:3], held_out(), "learned", per="layer", steps=8)
    assert finer.value < found.value
    assert len(finer.notes["coefficients"]) == 5
    path = finer.save(tmp_path / "soup.yml")
    lw.merge(path, tmp_path / "out")
    judge = HeldOut.of(embedded.model(), held_out())
    assert judge(lw.load(tmp_path / "out")) == finer.value
    free = lw.soup(runs[:2], held_out(), "learned", base=embedded.MODEL, steps=8)
    assert free.recipe["merge_method"] == "task_arithmetic"
    assert free.value <= next(t for t in free.trace if t.what == "step 0").value


def test_members_with_adapters(runs: list[Path], tmp_path: Path) -> None:
    """A model with an adapter is worth what the same model is when merged into a folder."""
    from test_merge_adapters import adapter, named, pair

    module = "model.layers.1.mlp.up_proj"
    factors = [0.3 * one for one in pair(models.load(runs[0]), module, 4, 5)]
    with_adapter = f"{runs[0]}+{adapter(tmp_path / 'lora', named(module, factors))}"
    whole = tmp_path / "whole"
    lw.merge({"merge_method": "passthrough", "models": [{"model": with_adapter}]}, whole)
    found = lw.soup([with_adapter, runs[1]], held_out(), "learned", steps=3)
    plain = lw.soup([whole, runs[1]], held_out(), "learned", steps=3)
    shares, wanted = (one.notes["coefficients"]["all"] for one in (found, plain))
    assert list(shares.values()) == pytest.approx(list(wanted.values()), rel=1e-4)
    assert shares[with_adapter] != pytest.approx(0.5, abs=1e-3)  # it learned something
    lw.merge(found.save(tmp_path / "soup.yml"), tmp_path / "out")
    assert HeldOut.of(embedded.model(), held_out())(lw.load(tmp_path / "out")) == found.value
