"""The balance of a conditioned edit: chosen on the selection split, the gentlest that suffices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import embedded
import keyed
import lenswright as lw
import wordy
from editing import direction
from editing_families import Family
from keyed import worded
from lenswright.directions import TokenLogOdds, difference_of_means, score_prompts
from lenswright.editing.balance import Trials, alternatives, best_of, gentlest
from lenswright.editing.closed_form import NothingFreeError, Settings
from lenswright.prompting.prompts import Prompt, PromptSet, Splits


@pytest.fixture(scope="module")
def splits() -> Splits:
    return keyed.splits()


def divergence(model: lw.Model, edit: lw.edits.Edit, prompt: list[int], answer: list[int]) -> float:
    """Mean over an answer's tokens, one forward of the whole text each."""
    row = [prompt + answer[:-1]]
    with model.edited(edit):
        after = model(row)[0, len(prompt) - 1 :].log_softmax(-1)
    before = model(row)[0, len(prompt) - 1 :].log_softmax(-1)
    return float((before.exp() * (before - after)).sum(-1).mean())


def test_refusals_are_told_by_what_is_said(tmp_path: Path) -> None:
    model, parts = embedded.model(), embedded.splits(12, 8, 4)
    trials = Trials(model, parts.select, None, 5)
    nothing = trials.row(lw.edits.from_factors(model, {}))
    assert nothing["left"] == nothing["same"] == len(trials.showing) / 8 > 0.9
    assert nothing["kl"] == pytest.approx(0, abs=1e-9)
    choice = lw.directions.select(
        model, difference_of_means(model.collect(parts.fit, progress=False)), parts.select,
        n_random=2, progress=False,
    )  # fmt: skip
    gone = trials.row(lw.edits.ablate(model, choice))
    assert gone["same"] < 0.3
    assert gone["bypass"] < nothing["bypass"]
    assert gone["kl"] > 0


def test_balance_is_chosen_on_the_selection_split(
    family: Family, tmp_path: Path, splits: Splits
) -> None:
    model = worded(family, tmp_path, "llama")
    score = TokenLogOdds(["w5"], ["w8"])
    answered = [Prompt(p.text, answer="w5 w9 w2") for p in splits.select.negative]
    select = PromptSet("select", splits.select.positive, answered)
    given: dict[str, Any] = {"select": select, "score": score, "progress": False}
    edit = lw.edits.condition(
        model, direction(model), splits.fit, balance=[0.01, 1.0, 100.0], **given
    )
    made = edit.provenance
    table = made["balances"]
    assert [row["balance"] for row in table] == [0.01, 1.0, 100.0]
    assert made["balance"] in (0.01, 1.0, 100.0)
    assert made["select"]["digests"] == splits.select.digests
    alone = lw.edits.condition(
        model, direction(model), splits.fit, balance=made["balance"], progress=False
    )
    assert alone.id == edit.id
    for row in table:
        tried = lw.edits.condition(
            model, direction(model), splits.fit, balance=row["balance"], progress=False
        )
        with model.edited(tried):
            scores = score_prompts(
                model, score.prepare(model, splits.select), list(splits.select.positive)
            )
        assert row["left"] == sum(one > 0 for one in scores) / len(scores)
        pairs = [(wordy.chat_ids(p.text), wordy.ids(p.answer)) for p in answered]
        assert row["kl"] == pytest.approx(sum(divergence(model, tried, *pair) for pair in pairs)
                                          / len(pairs), rel=1e-9)  # fmt: skip
        assert "same" not in row
    # A larger balance changes negative prompts less.
    assert table[0]["kl"] > table[2]["kl"] >= 0
    with pytest.raises(ValueError, match=r"select is None.*choosing a balance"):
        lw.edits.condition(model, direction(model), splits.fit, balance=[0.1, 1.0])
    with pytest.raises(ValueError, match="part"):
        lw.edits.condition(
            model, direction(model), splits.fit, balance=[0.1, 1.0], select=splits.test
        )


SETTINGS = Settings(1.0, 1.0, 1e-4, "null_space", 1.0, 0.0)


def test_alternatives_differ_in_one_setting() -> None:
    name, every = alternatives(SETTINGS, 0.1, (0.01, 0.3))
    assert name == "null_share"
    assert [(one.balance, one.null_share) for one in every] == [(0.1, 0.01), (0.1, 0.3)]
    assert alternatives(SETTINGS, 0.1, 0.01) == ("balance", every[:1])
    with pytest.raises(ValueError, match="balance and null_share are several"):
        alternatives(SETTINGS, (0.1, 1.0), (0.01, 0.3))
    with pytest.raises(ValueError, match="null_share is empty"):
        alternatives(SETTINGS, 0.1, ())
    with pytest.raises(ValueError, match="null_share is -1"):
        alternatives(SETTINGS, 0.1, (0.1, -1))


def test_settings_that_give_no_edit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three shares the first has no room; where none has, the error is the last one's."""
    _, every = alternatives(SETTINGS, 0.1, (0.01, 0.03, 0.1))
    kl = {0.03: 0.2, 0.1: 0.1}
    trials = Trials.__new__(Trials)  # only what is made of the rows matters here
    monkeypatch.setattr(trials, "row", lambda share: row(-0.1, 0.0, kl[share]), raising=False)

    def make(settings: Settings) -> Any:
        if settings.null_share not in kl:
            raise NothingFreeError(f"no room at {settings.null_share}")
        return settings.null_share

    best, table = best_of(trials, "null_share", every, make)
    assert best.null_share == 0.1
    assert table[0] == {"null_share": 0.01, "why": "no room at 0.01"}
    assert [one["kl"] for one in table[1:]] == [0.2, 0.1]
    kl.clear()
    with pytest.raises(NothingFreeError, match=r"no room at 0\.1"):
        best_of(trials, "null_share", every, make)


def row(bypass: float, left: float, kl: float) -> dict[str, float]:
    return {"bypass": bypass, "left": left, "kl": kl}


def test_the_gentlest_that_leaves_next_to_none_is_chosen() -> None:
    # A mean that falls far may leave many prompts as they were: then it is not enough.
    far = [row(-2.0, 0.02, 0.3), row(-1.5, 0.05, 0.2), row(-1.9, 0.06, 0.1), row(-1.0, 0.4, 0.01)]
    assert gentlest(far) == 1
    assert gentlest(far[2:]) == 0  # where none is enough, the one that goes furthest
    assert gentlest([row(-0.3, 0.2, 0.1), row(-0.2, 0.1, 0.2)]) == 1
    assert gentlest([row(-0.3, 0.2, 0.1), row(-0.4, 0.2, 0.2)]) == 1
    # Of refusals the answers count as well, and first.
    said = [row(-2.0, 0.0, 0.1) | {"same": 0.5}, row(-1.0, 0.02, 0.3) | {"same": 0.04}]
    assert gentlest(said) == 1
    said[1]["same"] = 0.06
    assert gentlest(said) == 1
    said[0]["same"] = 0.06
    assert gentlest(said) == 0
    assert gentlest([row(0.0, 0.0, 0.0)]) == 0
