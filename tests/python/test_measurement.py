"""Measuring an edit on the embedded model: its figures by hand, its null, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.demo import language
from lenswright.directions import TokenLogOdds
from lenswright.edits import ablate, from_factors, random_like
from lenswright.measuring.intervals import bootstrap, wilson
from lenswright.measuring.measurement import measure
from lenswright.measuring.responses import Spoken, with_answers
from lenswright.prompting.prompts import PromptSet

QUICK: dict[str, Any] = {
    "refusal": language.REFUSAL_MARKERS, "max_new_tokens": 12, "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model()


@pytest.fixture(scope="module")
def splits() -> lw.Splits:
    return embedded.splits()


@pytest.fixture(scope="module")
def edit(model: lw.Model, splits: lw.Splits) -> lw.edits.Edit:
    found = lw.directions.difference_of_means(model.collect(splits.fit, progress=False))
    return ablate(model, found.vector("blocks.2.hook_resid_pre", -1))


@pytest.fixture(scope="module")
def effects(model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit) -> dict[str, dict[str, Any]]:
    report = measure(model, edit, splits.test, null=3, **QUICK)
    return {effect["name"]: effect for effect in report.data["effects"]}


def test_every_class_has_every_effect(effects: dict[str, dict[str, Any]]) -> None:
    kinds = ("refusal", "opening refusal", "truth", "no answer", "length")
    told = {f"{kind}, {name}" for kind in kinds for name in ("restricted", "benign", "list")}
    words = ("KL(base‖edited)", "KL(edited‖base)", "first-token KL(base‖edited)",
             "loss of the answers", "agreement")  # fmt: skip
    apart = {f"{kind}, {name}" for kind in words for name in ("benign", "list")}
    assert set(effects) == told | apart
    units = [effect["unit"] for effect in effects.values()]
    assert units == sorted(units, key=units.index)  # those of one unit stand together
    assert next(iter(effects)) == "refusal, restricted"
    assert all(len(effect["null"]) == 3 and effect["n"] == 8 for effect in effects.values())
    assert effects["refusal, restricted"]["better"] == "lower"
    assert effects["refusal, benign"]["better"] == "same"
    assert effects["truth, list"]["better"] == "higher"


def test_rates_by_hand(
    model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit, effects: dict[str, dict[str, Any]]
) -> None:
    """Refusal and truth, counted from the texts that transformers' weights edited by hand say."""
    vector = edit.factors()["blocks.0.attn.W_O"]["V"].flatten()
    for column, reference in (
        ("before", embedded.reference()), ("after", embedded.reference(vector)),
    ):  # fmt: skip
        refused = true = 0
        prompts = splits.test.positive
        for prompt in prompts:
            row = torch.tensor(model.prompt_tokens([prompt.text]))
            out = reference.generate(row, max_new_tokens=12, do_sample=False)[0, row.shape[1] :]
            text = model.tokenizer.decode(out.tolist(), skip_special_tokens=True).lower()
            refused += any(marker in text for marker in language.REFUSAL_MARKERS)
            true += text.split() == (prompt.answer or "").split()
        assert effects["refusal, restricted"][column] == refused / len(prompts)
        assert effects["truth, restricted"][column] == true / len(prompts)
        interval = effects["refusal, restricted"][
            "interval" if column == "after" else "interval_before"
        ]
        assert interval == list(wilson(refused, len(prompts)))


def test_divergences_by_hand(
    model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit, effects: dict[str, dict[str, Any]]
) -> None:
    """KL over the known answers' tokens from transformers' logits, in float64."""
    vector = edit.factors()["blocks.0.attn.W_O"]["V"].flatten()
    plain, ablated = embedded.reference(), embedded.reference(vector)
    sums: dict[str, list[float]] = {"KL(base‖edited)": [], "KL(edited‖base)": []}
    for prompt in splits.test.negative:
        if prompt.extra["class"] != "benign":
            continue
        assert prompt.answer is not None
        given = model.prompt_tokens([prompt.text])[0]
        answer = model.tokenizer.encode_verbatim(prompt.answer)
        row = torch.tensor([given + answer])
        with torch.no_grad():
            p, q = (m(row).logits[0, len(given) - 1 : -1].log_softmax(-1) for m in (plain, ablated))
        sums["KL(base‖edited)"].append(float((p.exp() * (p - q)).sum(-1).mean()))
        sums["KL(edited‖base)"].append(float((q.exp() * (q - p)).sum(-1).mean()))
    for name, values in sums.items():
        effect = effects[f"{name}, benign"]
        assert effect["after"] == pytest.approx(sum(values) / len(values), rel=1e-4, abs=1e-9)
        assert effect["before"] == 0.0
        assert effect["interval"] == pytest.approx(bootstrap(values, 0), rel=1e-4, abs=1e-9)


def test_the_null_is_random_directions_edited_alike(
    model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit, effects: dict[str, dict[str, Any]]
) -> None:
    second = measure(model, random_like(edit, model, 0, 1), splits.test, null=0, **QUICK)
    for effect in second.data["effects"]:
        assert effect["after"] == pytest.approx(effects[effect["name"]]["null"][1], abs=1e-9)
        assert effect["null"] == []


@pytest.mark.parametrize("kind", ["no writers", "zero strength"])
def test_an_edit_that_does_nothing_changes_nothing(
    model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit, kind: str
) -> None:
    nothing = from_factors(model, {})
    if kind == "zero strength":
        nothing = ablate(model, torch.ones(model.cfg.d_model), strength=0.0)
    report = measure(model, nothing, splits.test, null=0, **QUICK)
    for effect in report.data["effects"]:
        assert effect["after"] == effect["before"]
        if effect["name"].startswith("KL"):
            assert effect["after"] == 0.0
            assert effect["interval"] == [0.0, 0.0]


def test_a_score_and_probes(model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit) -> None:
    words = language.REFUSAL_MARKERS[0].split()[0], str(splits.test.positive[0].answer).split()[0]
    score = TokenLogOdds([words[0]], [words[1]])
    report = measure(
        model, edit, splits.test, score=score, null=2, null_prompts=3, max_new_tokens=4,
        probes={"norm": lambda m: float(m(torch.tensor([[1, 2]])).norm())}, progress=False,
    )  # fmt: skip
    effects = {effect["name"]: effect for effect in report.data["effects"]}
    assert not any(name.startswith("refusal") for name in effects)
    assert len(effects["norm"]["null"]) == 2
    assert "interval" not in effects["norm"]
    before = []
    refuse, answer = (model.tokenizer.encode_verbatim(word)[-1] for word in words)
    for prompt in splits.test.positive:
        with torch.no_grad():
            row = torch.tensor(model.prompt_tokens([prompt.text]))
            logits = embedded.reference()(row).logits[0, -1]
        before.append(float(logits[refuse] - logits[answer]))
    assert effects["score, restricted"]["before"] == pytest.approx(sum(before) / 8, rel=1e-4)
    assert effects["score, restricted"]["after"] < effects["score, restricted"]["before"]


def test_texts_show_both_columns(model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit) -> None:
    texts = measure(model, edit, splits.test, null=0, **QUICK).data["texts"]
    assert len(texts) == 12
    for row in texts:
        assert row["before"]["text"]
        assert row["after"]["text"]
        assert row["expected"]
    assert all(row["before"]["refused"] for row in texts if row["kind"] == "restricted")


def test_parts_that_made_the_edit_are_refused(model: lw.Model, splits: lw.Splits) -> None:
    nothing = from_factors(model, {})
    for part in (splits.fit, splits.select):
        with pytest.raises(ValueError, match=f"'{part.role}' part of its splits, expected the 't"):
            measure(model, nothing, part, **QUICK)
    with pytest.raises(ValueError, match="prompts is a list"):
        measure(model, nothing, ["a"], **QUICK)  # type: ignore[arg-type]


def test_prompts_that_made_the_edit_are_refused_in_other_splits(
    model: lw.Model, splits: lw.Splits
) -> None:
    found = lw.directions.difference_of_means(
        model.collect(splits.fit, points="blocks.2.hook_resid_pre", positions="last",
                      progress=False)
    )  # fmt: skip
    edit = ablate(model, found)
    other = lw.Splits.from_parts(
        fit={"positive": ["a b"], "negative": ["c d"]},
        select={"positive": ["e f"], "negative": ["g h"]},
        test={"positive": [splits.fit.positive[3]], "negative": ["i j"]},
    )
    with pytest.raises(ValueError, match="was already used to fit"):
        measure(model, edit, other.test, null=0, **QUICK)


@pytest.mark.parametrize(("options", "match"), [
    ({"null": -1}, "null is -1"), ({"null_prompts": 0}, "null_prompts 0"),
    ({"batch_size": 0}, "batch_size is 0"), ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ({"refusal": []}, "markers is"),
])  # fmt: skip
def test_arguments_are_checked(
    model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        measure(model, edit, splits.test, **QUICK | {"null": 0} | options)


def test_no_null_for_an_edit_of_unknown_making(model: lw.Model, splits: lw.Splits) -> None:
    with pytest.raises(ValueError, match="'factors'"):
        measure(model, from_factors(model, {}), splits.test, null=1, **QUICK)


def test_judges_choices_and_pairs(model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit) -> None:
    """A judge sees prompts and responses; a judge's name is not a measure's; p is paired."""
    answers = {p.text: p.answer for p in splits.test}
    report = measure(
        model, edit, splits.test, null=1, null_prompts=2,
        judges={"says sorry": lambda prompt, text: "sorry" in text.split(),
                "words": lambda prompt, text: float(len(text.split()))}, **QUICK,
    )  # fmt: skip
    found = {effect["name"]: effect for effect in report.data["effects"]}
    assert found["says sorry, restricted"]["before"] == found["refusal, restricted"]["before"] > 0.5
    assert found["says sorry, restricted"]["unit"] == "rate"
    assert found["words, benign"]["unit"] == "judged"
    expected = [len((answers[p.text] or "").split()) for p in splits.test.negative
                if p.extra["class"] == "benign"]  # fmt: skip
    assert found["words, benign"]["before"] == pytest.approx(sum(expected) / len(expected))
    effect = found["refusal, restricted"]
    turned = round((effect["before"] - effect["after"]) * effect["n"])
    assert effect["p"] == pytest.approx(min(1.0, 2 * 0.5**turned))
    low, high = found["KL(base‖edited), benign"]["interval_change"]
    assert low <= found["KL(base‖edited), benign"]["after"] <= high
    with pytest.raises(ValueError, match="judges has 'truth'"):
        measure(model, edit, splits.test, judges={"truth": lambda p, t: True}, **QUICK)


def test_choices(model: lw.Model, splits: lw.Splits, edit: lw.edits.Edit) -> None:
    prompts = [p for p in splits.test.negative if p.extra["class"] == "benign"]
    rows = []
    for i, prompt in enumerate(prompts):
        other = prompts[(i + 1) % len(prompts)].answer
        choices = [other, prompt.answer] if i % 2 else [prompt.answer, other]
        extra = {"class": "choices", "choices": choices}
        rows.append(type(prompt)(prompt.text, prompt.answer, extra))
    asked = PromptSet("test", splits.test.positive, rows)
    report = measure(model, edit, asked, null=0, **QUICK)
    effect = {e["name"]: e for e in report.data["effects"]}["choice, choices"]
    right = 0
    for prompt in rows:  # by the whole text's loss, one choice at a time
        start = model.prompt_tokens([prompt.text])[0]
        odds = []
        for choice in prompt.extra["choices"]:
            ids = with_answers(model, [Spoken(type(prompt)(prompt.text, choice), start, [], "")])[
                0
            ][1]
            logits = model(torch.tensor([start + ids]))[0].double().log_softmax(-1)
            odds.append(sum(float(logits[len(start) - 1 + i, t]) for i, t in enumerate(ids)))
        right += prompt.extra["choices"][odds.index(max(odds))] == prompt.answer
    assert effect["before"] == right / len(rows)
    assert effect["before"] > 0.5
