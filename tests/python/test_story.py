"""The whole path on the embedded model, with a folder and without."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
from lenswright import findings
from lenswright.demo import language
from lenswright.story import Plan, Story, tell

PLAN = Plan(
    refusal=language.REFUSAL_MARKERS, null=3, null_prompts=4, max_new_tokens=12, progress=False
)


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model()


@pytest.fixture(scope="module")
def told(
    model: lw.Model, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Story, list[str], Path]:
    said: list[str] = []
    folder = tmp_path_factory.mktemp("story") / "edited"
    return tell(model, embedded.splits(), PLAN, folder, said.append), said, folder


def test_every_verb_says_what_it_found(told: tuple[Story, list[str], Path]) -> None:
    story, said, folder = told
    verbs = [line.split()[0] for line in said]
    assert verbs[:3] == ["look", "chosen:", "front:"]
    assert set(verbs[3 : verbs.index("try")]) <= {"layer", "and"}
    assert sum("chosen" in line for line in said[3 : verbs.index("try")]) <= 1
    assert verbs.count("measure") == len(story.report.data["effects"])
    assert verbs[-1] == "bake"
    assert str(folder) in said[-1]
    assert "restores every hash: True" in said[-1]
    refusal = next(line for line in said if "refusal, restricted" in line)
    assert "3 random directions" in refusal


def test_the_report_has_every_part(told: tuple[Story, list[str], Path]) -> None:
    story, _, folder = told
    data = story.report.data
    assert {"model", "run", "separation", "grid", "effects", "texts", "edit", "equivalence",
            "writers"} <= set(data)  # fmt: skip
    assert data["run"]["prompts"] == {"fit": 48, "select": 24, "test": 24}
    assert data["grid"]["chosen"]["layer"] == story.choice.layer
    assert len(data["grid"]["null"]["values"]) == 3
    assert sum(map(sum, data["grid"]["front"])) == len(story.choice.front) >= 1
    assert len(data["separation"]["separation"]) == len(story.found.positions)
    assert len(data["separation"]["separation"][0]) == len(data["separation"]["layers"])
    assert story.report.save(folder.parent / "report").is_file()
    page = (folder.parent / "report" / "report.html").read_text()
    assert "<html" in page
    assert "The Pareto front" in page


def test_what_was_tried_is_what_was_written(
    model: lw.Model, told: tuple[Story, list[str], Path]
) -> None:
    story, _, folder = told
    assert story.baked is not None
    assert story.baked.folder == folder
    assert not story.edit.is_applied(model)
    with model.edited(story.edit):
        tried = model([5, 6, 7])
    assert torch.allclose(lw.load(folder)([5, 6, 7]), tried, rtol=1e-4, atol=1e-4)


def test_without_a_folder_nothing_is_written(
    model: lw.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    story = tell(model, embedded.splits(8, 4, 2), PLAN, None)
    assert story.baked is None
    assert "equivalence" not in story.report.data
    assert list(tmp_path.iterdir()) == []


def test_two_prompts_a_class_are_enough_to_run(model: lw.Model) -> None:
    """Measures that need more prompts are said to be unknown, not made up."""
    said: list[str] = []
    story = tell(model, embedded.splits(2, 2, 2), PLAN, None, said.append)
    assert all("nan" not in line for line in said)
    story.report.to_html()


def test_an_existing_folder_is_refused_before_anything_runs(
    model: lw.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("ran")

    monkeypatch.setattr(type(model), "collect", never)
    with pytest.raises(FileExistsError, match=f"output folder {tmp_path} exists"):
        tell(model, embedded.splits(2, 2, 2), PLAN, tmp_path)


def test_findings(model: lw.Model) -> None:
    facts = findings.model_facts(model)
    assert facts["layers"] == model.cfg.n_layers
    assert facts["dtype"] == "float32"
    assert facts["parameters"] == sum(w.numel() for w in model.parameters().values())
    assert findings.run_facts(3)["seed"] == 3
    assert findings.criterion("a", "≤ 1", 0.5, True) == {
        "name": "a", "demand": "≤ 1", "reached": 0.5, "passed": True,
    }  # fmt: skip
    assert findings.criterion("a", "≤ 1", 0.5, True, "why")["note"] == "why"
    effects = [{"name": "refusal, a"}, {"name": "truth, a"}]
    assert findings.effect(effects, "truth, a") is effects[1]
    with pytest.raises(KeyError, match="truth, b"):
        findings.effect(effects, "truth, b")


def test_findings_of_an_applied_edit() -> None:
    model = embedded.model()
    vector = torch.arange(1.0, model.cfg.d_model + 1)
    edit = lw.edits.ablate(model, vector, writers=["attention"])
    before = model.parameters()
    edit.apply(model)
    rows = {row["name"]: row for row in findings.writers(model, edit, before)}
    edit.revert(model)
    v = vector.double() / vector.double().norm()
    weight = before["model.layers.1.self_attn.o_proj.weight"].double()
    row = rows["blocks.1.attn.W_O"]
    along = float((v @ weight).norm() / weight.norm())
    assert row["along_before"] == pytest.approx(along, rel=1e-9)
    assert row["change"] == pytest.approx(along, rel=1e-5)
    assert row["along_after"] < 1e-7
    assert not rows["embed.W_E"]["edited"]
    assert "change" not in rows["embed.W_E"]
