"""What is said, which tokens answer a prompt, and how far two models' words lie apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.batches import batches
from lenswright.measuring.responses import (
    Spoken,
    answer_residuals,
    divergences,
    respond,
    with_answers,
)
from lenswright.prompting.prompts import Prompt


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model(dtype="float64")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return list(embedded.splits().test)[:6]


def test_batches_cover() -> None:
    assert [(s.start, s.stop) for s in batches(5, 2)] == [(0, 2), (2, 4), (4, 5)]
    assert list(batches(0, 2)) == []
    with pytest.raises(ValueError, match="batch_size is 0"):
        list(batches(1, 0))


def test_responses_do_not_depend_on_the_batch(model: lw.Model, prompts: list[Prompt]) -> None:
    said = respond(model, prompts, 8, 4)
    assert said == respond(model, prompts, 8, 1)
    for one in said:
        assert one.tokens == model.prompt_tokens([one.prompt.text])[0]
        assert 1 <= len(one.response) <= 8
        assert one.text == model.tokenizer.decode(one.response, skip_special_tokens=True).strip()


def test_answers_are_the_sets_or_else_the_models(model: lw.Model, prompts: list[Prompt]) -> None:
    known = Prompt("make a bench", "take cedar")
    unknown = Prompt("make a bench")
    pairs = with_answers(model, [Spoken(known, [1, 2], [9], ""), Spoken(unknown, [1, 2], [9], "")])
    assert pairs[1] == ([1, 2], [9])
    assert model.tokenizer.decode(pairs[0][1]).strip() == "take cedar"


@pytest.mark.parametrize(("text", "answer"), [
    ("Once upon a time", " there was"), ("Once upon a", " time"), ("One day.", " There was"),
    ("The cat", "nip"), ("The cat", "  sat"),
])  # fmt: skip
def test_answers_read_as_they_stand(data: Path, text: str, answer: str) -> None:
    """No space is added or lost between a prompt and its answer, and no BOS comes between."""
    tokenizer = (model := lw.load(data / "TinyStories-656K")).tokenizer
    before = tokenizer.encode(text)
    ids = with_answers(model, [Spoken(Prompt(text, answer), before, [], "")])[0][1]
    assert tokenizer.decode(before + ids) == tokenizer.decode(before) + answer


def test_divergences_are_the_formula(model: lw.Model, prompts: list[Prompt]) -> None:
    pairs = with_answers(model, respond(model, prompts, 8))
    vector = torch.randn(model.cfg.d_model, generator=torch.Generator().manual_seed(0))
    base = answer_residuals(model, pairs, 4)
    with model.edited(lw.edits.ablate(model, vector)):
        edited = answer_residuals(model, pairs, 2)
    answers = [answer for _, answer in pairs]
    found = divergences(model, base, edited, answers)
    assert {name: unit for name, (unit, _) in found.items()} == {
        "KL(base‖edited)": "nats", "KL(edited‖base)": "nats", "agreement": "share",
        "first-token KL(base‖edited)": "nats", "loss of the answers": "nats",
    }  # fmt: skip
    plain, ablated = embedded.reference(), embedded.reference(vector)
    for i, (prompt, answer) in enumerate(pairs):
        row = torch.tensor([prompt + answer])
        part = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
        with torch.no_grad():
            p, q = (m(row).logits[0, part].log_softmax(-1) for m in (plain, ablated))
        forward, said = (p.exp() * (p - q)).sum(-1), torch.tensor(answer)
        for name, expected in (
            ("KL(base‖edited)", forward.mean()),
            ("KL(edited‖base)", (q.exp() * (q - p)).sum(-1).mean()),
            ("first-token KL(base‖edited)", forward[0]),
            ("agreement", (p.argmax(-1) == q.argmax(-1)).double().mean()),
            ("loss of the answers", -q.gather(1, said[:, None]).mean()),
        ):
            assert found[name][1][i] == pytest.approx(float(expected), rel=1e-5, abs=1e-12), name
    same = divergences(model, base, base, answers)
    assert same["KL(base‖edited)"][1] == [0.0] * 6
    assert same["agreement"][1] == [1.0] * 6
    assert divergences(model, [], [], []) == {}
