"""`lenswright ablate --method`: each method from the shell is the edit that Python makes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from ablating import Said, prompts, with_biases
from editing import committed_hashes, file_hashes
from lenswright import cli
from lenswright.demo import language
from lenswright.edits import Edit

ALL = ("mean", "variance", "covariance")


@dataclass
class Known:
    """What the edits by hand are made of; the place is the one that the shell chose."""

    model: lw.Model
    splits: lw.Splits
    stats: lw.directions.Statistics
    point: str
    position: str

    @property
    def vector(self) -> torch.Tensor:
        return lw.directions.difference_of_means(self.stats).vector(self.point, self.position)

    @property
    def negative(self) -> torch.Tensor:
        return self.stats.mean("negative", self.point)[self.stats.position_index(self.position)]

    def span(self, k: int) -> torch.Tensor:
        return lw.directions.subspace(self.stats, k).subspace(self.point, self.position)


def oblique(known: Known) -> Edit:
    found = lw.directions.leace(known.stats, "shrinkage")
    erase = found.erasure(known.point, known.position)
    return lw.edits.ablate(known.model, erase.write, "oblique", read=erase.read)


def null_space(known: Known) -> Edit:
    return lw.edits.condition(
        known.model, known.vector, known.splits.fit, protect="null_space",
        null_share=(0.01, 0.03, 0.1, 0.3), select=known.splits.select,
        score=lw.directions.RefusalScore(language.REFUSAL_MARKERS), progress=False,
    )  # fmt: skip


CASES: dict[str, tuple[list[str], Callable[[Known], Edit]]] = {
    "subspace": ([], lambda a: lw.edits.ablate(a.model, a.span(2), "subspace")),
    "subspace, 3": (
        ["--rank", "3", "--writers", "mlp", "--strength", "0.5"],
        lambda a: lw.edits.ablate(a.model, a.span(3), "subspace", "mlp", 0.5),
    ),
    "ridge": ([], lambda a: lw.edits.ablate(a.model, a.span(2), "ridge", ridge=0.1)),
    "ridge, 0.5": (
        ["--ridge", "0.5", "--rank", "1"],
        lambda a: lw.edits.ablate(a.model, a.span(1), "ridge", ridge=0.5),
    ),
    "affine": ([], lambda a: lw.edits.affine(a.model, a.vector, a.negative)),
    "affine, half": (
        ["--strength", "0.5"], lambda a: 0.5 * lw.edits.affine(a.model, a.vector, a.negative)
    ),
    "oblique": ([], oblique),
    "null_space": ([], null_space),
}  # fmt: skip
"""Arguments in the shell, and the same by hand."""

PAPERS = {
    "subspace": "arXiv:2512.18901", "ridge": "arXiv:2512.18901", "affine": "arXiv:2411.09003",
    "oblique": "arXiv:2306.03819", "null_space": "arXiv:2410.02355",
}  # fmt: skip

WHOLE = ("subspace", "ridge", "oblique", "null_space")
"""Of these random directions leave the behaviour; one target for all layers breaks this model along
any direction."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return prompts(tmp_path_factory.mktemp("prompts"))


def known(model: lw.Model, given: list[str], record: Path) -> Known:
    splits = lw.Splits.from_files(given[1], given[3], seed=0)
    last = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    stats = model.collect(splits.fit, points=["resid_pre", last], what=ALL, progress=False)
    step = json.loads((record / "lenswright.json").read_text())["steps"][0]["provenance"]
    inner = step["of"][0] if step["method"] == "scaled" else step
    return Known(model, splits, stats, inner["direction"]["point"], inner["direction"]["position"])


QUICK = ("--null", "2", "--max-new-tokens", "12", "--refusal", *language.REFUSAL_MARKERS)


@pytest.mark.parametrize("label", CASES)
def test_the_checkpoint_is_what_python_makes(
    tmp_path: Path, said: Said, given: list[str], label: str
) -> None:
    name, (more, by_hand) = label.partition(",")[0], CASES[label]
    out = tmp_path / "out"
    code, told = said(embedded.MODEL, *given, *QUICK, "--method", name, *more, "--out", out,
                      "--save-edit", tmp_path / "e.safetensors")  # fmt: skip
    assert code == 0
    model = embedded.model()
    edit = by_hand(known(model, given, out))
    assert lw.edits.load(tmp_path / "e.safetensors").id == edit.id
    edit.commit(embedded.MODEL, tmp_path / "by hand", progress=False)
    weights = committed_hashes(out)
    assert weights == committed_hashes(tmp_path / "by hand")
    assert weights != committed_hashes(embedded.MODEL)
    # Its behaviour, on prompts that had no part in making it.
    report = json.loads((tmp_path / "out-report" / "report.json").read_text())
    refusal = next(e for e in report["effects"] if e["name"] == "refusal, restricted")
    assert refusal["before"] >= 0.9
    if label in (*WHOLE, "affine"):
        assert refusal["after"] <= 0.5
    if label in WHOLE:
        assert min(refusal["null"]) > 0.5
    _tells(name, report, out, told.out)


def _tells(name: str, report: dict[str, Any], out: Path, said: str) -> None:
    """That page, card and record name the method and its paper."""
    page = out.with_name("out-report") / "report.html"
    card = (out / "README.md").read_text()
    made = json.loads((out / "lenswright.json").read_text())["steps"][0]["provenance"]
    made = made["of"][0] if made["method"] == "scaled" else made
    assert report["edit"]["method"].startswith(f"{name}: ")
    for text in (report["edit"]["method"], page.read_text(), card, made["source"]):
        assert PAPERS[name] in text
    assert f"| method | {name} |" in card
    assert "| prompts to fit | SHA-256" in card
    assert "| prompts to select | SHA-256" in card
    assert made["method"] == ("condition" if name == "null_space" else name)
    held = name == "affine"  # a network like Llama has no biases
    assert ("note     the target is one vector, held at every layer" in said) == held
    assert ("one vector, at every layer" in card) == held
    assert report["edit"].get("target") == ("one vector, at every layer" if held else None)
    if name in ("subspace", "ridge"):
        assert made["direction"]["method"] == "subspace"
        assert made["direction"]["settings"]["k"] == report["edit"]["rank"]
    if name == "null_space":
        assert len(made["null_shares"]) == 4
        assert report["edit"]["null_share"] == made["null_share"]
        assert f"| null_share | {made['null_share']} |" in card
    if name == "oblique":
        assert made["direction"]["settings"] == {"covariance": "shrinkage"}


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_biases(tmp_path_factory.mktemp("biased") / "model")


@pytest.mark.parametrize("name", ["affine", "leace"])
def test_where_there_are_biases_every_layer_has_a_target_of_its_own(
    tmp_path: Path, said: Said, given: list[str], biased: Path, name: str
) -> None:
    out = tmp_path / "out"
    code, told = said(biased, *given, *QUICK, "--method", name, "--out", out)
    assert code == 0
    assert "the target is one vector" not in told.out
    model = lw.load(biased)
    have = known(model, given, out)
    row, stats = have.stats.position_index(have.position), have.stats
    if name == "affine":
        target = torch.stack([stats.mean("negative", point)[row] for point in stats.points])
        read = have.vector
        edit = lw.edits.affine(model, read, target)
    else:
        found = lw.directions.leace(stats, "shrinkage")
        each = [found.erasure(point, have.position) for point in stats.points]
        here = found.erasure(have.point, have.position)
        target, read = torch.stack([one.centre for one in each]), here.read[0]
        edit = lw.edits.leace(model, here.write, here.read, target)
    edit.commit(biased, tmp_path / "by hand", progress=False)
    assert committed_hashes(out) == committed_hashes(tmp_path / "by hand")
    # What the residual holds, at every token of a prompt that nobody has seen.
    edited = lw.load(out)
    tokens = edited.chat_tokens("make a moonlamp")
    _, cache = edited.run_with_cache(tokens)
    for point, held in zip(stats.points, target, strict=True):
        along = cache[point][0].double() @ read.double()
        scale = float((cache[point][0].double().norm(dim=-1) * read.norm()).max())
        assert float((along - held @ read).abs().max()) < 1e-5 * scale, point


def test_in_place_it_is_the_same_checkpoint(tmp_path: Path, said: Said, given: list[str]) -> None:
    source = tmp_path / "model"
    shutil.copytree(embedded.MODEL, source)
    before, call = file_hashes(source), (*given, *QUICK, "--method", "oblique")
    assert said(source, *call, "--journal", "--out", tmp_path / "x")[0] == 0
    assert said(source, *call, "--in-place", "--report", tmp_path / "page")[0] == 0
    assert file_hashes(source) == file_hashes(tmp_path / "x") != before
    assert "arXiv:2306.03819" in (tmp_path / "page" / "report.html").read_text()
    assert cli.main(["revert", str(source), "--out", str(tmp_path / "back")]) == 0
    assert file_hashes(tmp_path / "back") == before
