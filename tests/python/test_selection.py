"""Selection: every score against weights edited by hand, the rules, and the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import wordy
from edited_by_hand import divergence, odds, orthogonalised
from lenswright import demo
from lenswright.collecting.statistics import collect
from lenswright.directions import (
    Directions,
    TokenLogOdds,
    difference_of_means,
    score_prompts,
    select,
)
from lenswright.prompting.prompts import PromptSet, Splits
from lenswright.selecting.choice import Choice
from plain import Plain
from support import same

FAMILIES = ["llama-grouped", "gpt2"]
SCORE = TokenLogOdds(["w5", "w6 w7"], ["w8"])


@pytest.fixture(scope="module")
def splits() -> Splits:
    texts = wordy.sentences(48, seed=21)
    roles = ("fit", "select", "test")
    return Splits.from_parts(
        **{
            r: {"positive": texts[16 * i : 16 * i + 9], "negative": texts[16 * i + 9 : 16 * i + 16]}
            for i, r in enumerate(roles)
        }
    )


@pytest.fixture(scope="module")
def folders(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("selection")
    return {name: wordy.copy(tiny(name), base / name) for name in FAMILIES}


@pytest.fixture(scope="module")
def chosen(folders: dict[str, Path], splits: Splits) -> dict[str, tuple[Any, Directions, Choice]]:
    """Of each family a float64 model, its directions, and the choice among them."""
    result = {}
    for family, folder in folders.items():
        model = lw.load(folder, dtype="float64")
        found = difference_of_means(collect(model, splits.fit, positions=[-3, -2, -1]))
        choice = select(model, found, splits.select, score=SCORE, n_random=3, batch_size=32)
        result[family] = model, found, choice
    return result


@pytest.mark.parametrize("family", FAMILIES)
def test_every_score_is_that_of_edited_weights(
    folders: dict[str, Path], splits: Splits, chosen: dict[str, Any], family: str
) -> None:
    _, found, choice = chosen[family]
    base = Plain(folders[family])
    tried = [row for row in choice.table if row["bypass"] is not None]
    assert len(tried) == 4  # layers 1 and 2, the two tokens behind the instruction
    positive, negative = splits.select.positive, splits.select.negative
    assert abs(choice.null.base["bypass"] - odds(base, positive)) < 1e-9
    assert abs(choice.null.base["induce"] - odds(base, negative)) < 1e-9
    for row in (tried[0], tried[3]):
        edited = orthogonalised(folders[family], family, found.vector(row["point"], row["offset"]))
        assert abs(row["bypass"] - odds(edited, positive)) < 1e-9
        assert abs(row["kl"] - divergence(base, edited, negative)) < 1e-9
        raw = found.raw(row["point"], row["offset"])
        added = {row["point"]: lambda x, raw=raw: x + raw}
        assert abs(row["induce"] - odds(base, negative, added)) < 1e-9
    random = lw._core.random_directions(3, len(choice.vector), 0)[2]
    edited = orthogonalised(folders[family], family, random)
    assert abs(choice.null.bypass[2] - odds(edited, positive)) < 1e-9
    assert abs(choice.null.kl[2] - divergence(base, edited, negative)) < 1e-9
    added = {choice.point: lambda x: x + random * choice.raw_norm}
    assert abs(choice.null.induce[2] - odds(base, negative, added)) < 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_separation_is_exact_on_the_select_prompts(
    folders: dict[str, Path], splits: Splits, chosen: dict[str, Any], family: str
) -> None:
    _, found, choice = chosen[family]
    plain = Plain(folders[family])
    row = next(row for row in choice.table if row["separation"] is not None)
    v = found.vector(row["point"], row["offset"])
    along = [
        torch.stack(
            [
                plain.forward(torch.tensor([wordy.chat_ids(p.text)]))[row["point"]][
                    0, row["offset"]
                ]
                @ v
                for p in part
            ]
        ).detach()
        for part in (splits.select.positive, splits.select.negative)
    ]
    spread = ((along[0].var() + along[1].var()) / 2).sqrt()
    expected = float((along[0].mean() - along[1].mean()) / spread)
    assert abs(row["separation"] - expected) < 1e-9


def test_what_is_not_tried_says_why(chosen: dict[str, Any]) -> None:
    _, found, choice = chosen["gpt2"]
    reasons = {(row["layer"], row["offset"]): row["why"] for row in choice.table}
    assert len(choice.table) == 9
    assert {reasons[0, offset] for offset in (-3, -2, -1)} == {"layer 0: words, not yet a decision"}
    assert reasons[1, -3] == reasons[2, -3] == "within the instruction"
    assert choice.row["point"] == choice.point
    assert same(choice.vector, found.vector(choice.point, choice.offset))
    assert same(choice.raw, choice.vector * choice.raw_norm)
    assert choice.provenance["select"]["role"] == "select"
    assert choice.provenance["fit"] == found.provenance["fit"]


def test_batch_size_changes_no_byte(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["llama-grouped"])
    found = difference_of_means(collect(model, splits.fit))
    runs = [
        select(model, found, splits.select, score=SCORE, n_random=3, batch_size=size)
        for size in (1, 7, 128)
    ]
    for other in runs[1:]:
        assert other.table == runs[0].table
        assert other.null == runs[0].null
        assert other.to_dict() == runs[0].to_dict()
    assert json.loads(json.dumps(runs[0].to_dict(), allow_nan=False))["point"] == runs[0].point
    quick = select(
        model, found, splits.select, score=SCORE, n_random=3, batch_size=16, deterministic=False
    )
    assert quick.point == runs[0].point
    assert abs(quick.row["bypass"] - runs[0].row["bypass"]) < 1e-4


def test_a_hooked_model_gives_the_same_additions(folders: dict[str, Path], splits: Splits) -> None:
    # With hooks no residual is stored, so that each of them fires: another way to the same numbers.
    model = lw.load(folders["gpt2"], dtype="float64")
    found = difference_of_means(collect(model, splits.fit))
    plain = select(model, found, splits.select, score=SCORE, n_random=2)
    with model.hooks([("blocks.0.hook_mlp_out", lambda x, hook: None)]):
        hooked = select(model, found, splits.select, score=SCORE, n_random=2)
    for row, other in zip(plain.table, hooked.table, strict=True):
        assert row["induce"] == pytest.approx(other["induce"], abs=1e-12)


def test_trials_are_the_edit(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["gpt2"], dtype="float64")
    found = difference_of_means(collect(model, splits.fit))
    choice = select(model, found, splits.select, score=SCORE, n_random=2)
    score = SCORE.prepare(model, splits.select)
    with model.edited(lw.edits.ablate(model, choice)):
        values = score_prompts(model, score, splits.select.positive)
    assert sum(values) / len(values) == pytest.approx(choice.row["bypass"], abs=1e-9)


def test_wrong_arguments_are_named(
    chosen: dict[str, Any], folders: dict[str, Path], splits: Splits
) -> None:
    model, found, _ = chosen["gpt2"]
    quick = {"score": SCORE, "n_random": 2}
    with pytest.raises(ValueError, match="'test' part of its splits, expected the 'select' part"):
        select(model, found, splits.test, **quick)
    reused = PromptSet("select", splits.fit.positive, splits.select.negative)
    with pytest.raises(ValueError, match="was already used to fit"):
        select(model, found, reused, **quick)
    with pytest.raises(ValueError, match="refusal and score are both given"):
        select(model, found, splits.select, refusal=["w1"], score=SCORE)
    with pytest.raises(ValueError, match="n_random is 1"):
        select(model, found, splits.select, score=SCORE, n_random=1)
    with pytest.raises(ValueError, match="layers has 3, expected 0 to 2"):
        select(model, found, splits.select, layers=[3], **quick)
    with pytest.raises(ValueError, match="found has no candidates: 3 layer 0"):
        select(model, found, splits.select, layers=[0], **quick)
    with pytest.raises(ValueError, match=r"found was made with .* \(3 layers of 30\)"):
        select(lw.load(folders["llama-grouped"]), found, splits.select, **quick)
    heads = difference_of_means(collect(model, splits.fit, points="blocks.1.attn.hook_q"))
    with pytest.raises(ValueError, match=r"'blocks.1.attn.hook_q' with vectors \[3, 10\]"):
        select(model, heads, splits.select, **quick)


def test_pictures(chosen: dict[str, Any]) -> None:
    _, _, choice = chosen["gpt2"]
    assert "against 3 random" in repr(choice)
    assert choice._repr_html_().count("<tr") == 10
    points, positions, grid = choice.measure("kl")
    assert grid.shape == (len(points), len(positions)) == (3, 3)
    assert grid[0].isnan().all()
    assert choice.plot().svg.startswith("<svg")
    with pytest.raises(ValueError, match="name is 'size'"):
        choice.measure("size")


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Splits]:
    if not (demo.MODEL / "model.safetensors").is_file():
        pytest.skip("the embedded model is not there")
    splits = demo.splits()
    return lw.load(demo.MODEL), splits


def test_the_embedded_model_gives_its_refusal_away(embedded: tuple[Any, Splits]) -> None:
    model, splits = embedded
    found = difference_of_means(model.collect(splits.fit))
    assert found.measure("split_cosine").nan_to_num(-1).max() > 0.95
    choice = lw.directions.select(model, found, splits.select)
    assert choice.layer >= 1
    assert choice.z["bypass"] < -3
    assert choice.row["bypass"] < choice.null.base["bypass"] - 0.5
    assert choice.row["kl"] < 0.1
    assert choice.row["induce"] > choice.null.base["induce"]
    assert choice.row["separation"] > 2
    with model.edited(lw.edits.ablate(model, choice)):
        rows = model.prompt_tokens([prompt.text for prompt in splits.select.positive])
        said = model.generate(rows, 12, return_type="text")
    assert sum("sorry" in text for text in said) <= 0.05 * len(said)
