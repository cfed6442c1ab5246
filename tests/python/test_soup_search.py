"""Searching the numbers of a recipe: what is open, what is found, and that it is the same again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import embedded
import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.soups.space import Space
from merging_models import config_of


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The embedded model and two that differ from it everywhere."""
    folder = tmp_path_factory.mktemp("trio")
    base = models.load(embedded.MODEL)
    out = [str(embedded.MODEL)]
    for i in range(2):
        generator = torch.Generator().manual_seed(i)
        tensors = {n: v + 0.1 * torch.randn(v.shape, generator=generator) for n, v in base.items()}
        out.append(str(models.save(folder / str(i), tensors, config_of(embedded.MODEL))))
    return out


def open_recipe(trio: list[str], **more: Any) -> dict[str, Any]:
    return {
        "merge_method": "task_arithmetic", "base_model": trio[0],
        "models": [
            {"model": name, "parameters": {"weight": {"search": [-1, 1]} | more}}
            for name in trio[1:]
        ],
    }  # fmt: skip


class Distance:
    """How far a model lies from known weights: a bowl with its bottom there."""

    def __init__(self, trio: list[str], weights: tuple[float, float]) -> None:
        base, *others = (models.load(Path(name)) for name in trio)
        self.target = {
            name: base[name].double()
            + sum(w * (o[name].double() - base[name]) for w, o in zip(weights, others, strict=True))
            for name in base
        }

    def __call__(self, model: lw.Model) -> float:
        found = model.parameters()
        return sum(float((found[n].double() - v).pow(2).sum()) for n, v in self.target.items())


def test_it_finds_the_bottom(trio: list[str], tmp_path: Path) -> None:
    found = lw.search_merge(open_recipe(trio), Distance(trio, (0.62, -0.31)), evaluations=120)
    values = found.notes["searched"]
    assert list(values) == ["models.0.parameters.weight", "models.1.parameters.weight"]
    assert values["models.0.parameters.weight"] == pytest.approx(0.62, abs=0.02)
    assert values["models.1.parameters.weight"] == pytest.approx(-0.31, abs=0.02)
    assert len(found.trace) == 120
    assert found.value == min(taste.value for taste in found.trace)
    path = found.save(tmp_path / "found.yml")
    assert main(["merge", str(path), str(tmp_path / "out")]) == 0
    model = lw.load(tmp_path / "out")
    assert Distance(trio, (0.62, -0.31))(model) == found.value


def test_seeds_and_direction(trio: list[str]) -> None:
    bowl = Distance(trio, (0.2, 0.2))
    one, again, other = (
        lw.search_merge(open_recipe(trio), bowl, evaluations=8, seed=seed) for seed in (1, 1, 2)
    )
    assert [t.what for t in one.trace] == [t.what for t in again.trace]
    assert [t.what for t in one.trace] != [t.what for t in other.trace]
    up = lw.search_merge(
        open_recipe(trio), lambda model: -bowl(model), evaluations=8, seed=1, better="higher"
    )
    assert up.recipe == one.recipe
    assert up.value == -one.value


def test_a_random_method_is_merged_as_it_was_judged(trio: list[str], tmp_path: Path) -> None:
    recipe = {
        "merge_method": "dare_linear", "base_model": trio[0],
        "models": [{"model": trio[1], "parameters": {
            "weight": 1.0, "density": {"search": [0.2, 0.9], "start": 0.5}}}],
    }  # fmt: skip
    seen: dict[float, dict[str, torch.Tensor]] = {}

    def measure(model: lw.Model) -> float:
        tensors = {name: value.clone() for name, value in model.parameters().items()}
        value = float(tensors["lm_head.weight"].double().pow(2).sum())
        seen[value] = tensors
        return value

    found = lw.search_merge(recipe, measure, evaluations=5, seed=7)  # one open number
    found.merge(tmp_path / "out")
    written = models.load(tmp_path / "out")
    assert all(torch.equal(written[n], v) for n, v in seen[found.value].items())


def test_worst_is_what_is_no_number(trio: list[str]) -> None:
    def measure(model: lw.Model) -> float:
        moved = model.parameters()["lm_head.weight"] - models.load(Path(trio[0]))["lm_head.weight"]
        return float("nan") if float(moved.norm()) > 12 else 1.0

    found = lw.search_merge(open_recipe(trio, start=0.9), measure, evaluations=30)
    assert found.trace[0].value != found.trace[0].value
    assert found.value == 1.0


def test_the_space(trio: list[str]) -> None:
    recipe = {
        "a": [{"search": [0, 1]}, 3, {"search": [1e-4, 1.0], "scale": "log"}],
        "b": {"c": {"search": [2, 4], "start": 2.5}},
    }
    space = Space(recipe)
    assert [one.name for one in space.open] == ["a.0", "a.2", "b.c"]
    assert [one.start for one in space.open] == pytest.approx([0.5, 1e-2, 2.5])
    assert [one.from_unit(0.25) for one in space.open] == pytest.approx([0.25, 1e-3, 2.5])
    assert all(one.from_unit(one.to_unit(one.start)) == pytest.approx(one.start)
               for one in space.open)  # fmt: skip
    assert space.at([0.1, 0.2, 3.0]) == {"a": [0.1, 3, 0.2], "b": {"c": 3.0}}
    assert recipe["b"]["c"] == {"search": [2, 4], "start": 2.5}


WRONG: list[tuple[Any, str]] = [
    (0.5, "nothing to search"),
    ({"search": [1, 0]}, r"low < high"),
    ({"search": [0, "x"]}, r"low < high"),
    ({"search": [0, 1, 2]}, r"low < high"),
    ({"search": [0, 1], "scale": "log"}, "above 0"),
    ({"search": [0, 1], "start": 2}, "start is 2"),
    ({"search": [0, 1], "stort": 1}, "did you mean 'start'"),
    ({"search": [0, 7]}, "weight|density|1 at most"),
]


@pytest.mark.parametrize(("value", "said"), WRONG)
def test_mistakes(value: Any, said: str, trio: list[str]) -> None:
    recipe = {
        "merge_method": "ties", "base_model": trio[0],
        "models": [{"model": trio[1], "parameters": {"weight": 1.0, "density": value}}],
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        lw.search_merge(recipe, lambda model: 0.0, evaluations=3)


def test_without_the_package(trio: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ImportError, match=r"lenswright\[search\]"):
        lw.search_merge(open_recipe(trio), lambda model: 0.0)


def test_command_line(trio: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = embedded.rows("select", "benign", 6)
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = tmp_path / "open.yml"
    template.write_text(yaml.safe_dump(open_recipe(trio)))
    call = ["soup", "--search", str(template), "--held-out", str(held), "--evaluations", "7"]
    assert main([*call, "--recipe", str(tmp_path / "found.yml"), "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert said.count("models.0.parameters.weight") == 8  # seven candidates and the result
    found = yaml.safe_load((tmp_path / "found.yml").read_text())
    assert isinstance(found["models"][0]["parameters"]["weight"], float)
    assert main([*call, "--per", "layer"]) == 2
    assert main(["soup", trio[0], trio[1], *call[1:]]) == 2
