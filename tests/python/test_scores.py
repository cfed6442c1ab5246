"""Scores from teacher-forced continuations against an independent float64 forward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import wordy
from lenswright.directions import RefusalScore, TokenLogOdds, score_prompts
from lenswright.measuring.forcing import Forced, continuation_ids
from lenswright.prompting.prompts import Prompt, PromptSet
from plain import Plain

PROMPTS = [Prompt(text) for text in wordy.sentences(6, seed=9)]
ANSWERED = [Prompt(p.text, answer=f"w{i} w{i + 7} w3") for i, p in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def folder(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wordy.copy(tiny("gpt2"), tmp_path_factory.mktemp("scores") / "gpt2")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return lw.load(folder, dtype="float64")


def prompts_of(positive: list[Prompt]) -> PromptSet:
    return PromptSet("select", positive, [Prompt("w1")])


def log_probs(folder: Path, prompt: Prompt, continuation: list[int]) -> torch.Tensor:
    """log p of each token of a continuation, one forward of everything."""
    before = wordy.chat_ids(prompt.text)
    logits = Plain(folder).forward(torch.tensor([before + continuation]))["unembed.hook_out"][0]
    table = torch.log_softmax(logits[len(before) - 1 : -1].detach(), -1)
    return table[range(len(continuation)), continuation]


def greedy(folder: Path, prompt: Prompt, count: int) -> list[int]:
    said: list[int] = []
    plain = Plain(folder)
    for _ in range(count):
        row = torch.tensor([wordy.chat_ids(prompt.text) + said])
        said.append(int(plain.forward(row)["unembed.hook_out"][0, -1].argmax()))
        if said[-1] == 2:  # the end of text
            break
    return said


def test_token_log_odds_of_words_and_strings(folder: Path, model: Any) -> None:
    positive: list[Any] = ["w5", "w6 w7", [20]]
    negative: list[Any] = ["w8", "w6 w9 w1"]
    score = TokenLogOdds(positive, negative).prepare(model, prompts_of(PROMPTS))
    ours = score_prompts(model, score, PROMPTS, batch_size=4)
    for prompt, value in zip(PROMPTS, ours, strict=True):
        sums = [
            torch.stack([log_probs(folder, prompt, ids).sum() for ids in side]).logsumexp(0)
            for side in (
                [wordy.ids("w5"), wordy.ids("w6 w7"), [20]],
                [wordy.ids("w8"), wordy.ids("w6 w9 w1")],
            )
        ]
        assert abs(value - float(sums[0] - sums[1])) < 1e-10


def test_single_tokens_need_the_prompt_alone(model: Any) -> None:
    score = TokenLogOdds(["w5", "w6"], ["w7"]).prepare(model, prompts_of(PROMPTS))
    plan = Forced.of(model, PROMPTS, score.continuations)
    rows = sorted(line.tokens for line in plan.lines)
    assert rows == sorted(wordy.chat_ids(p.text) for p in PROMPTS)


def test_continuations_that_begin_alike_share_a_row(model: Any) -> None:
    wanted = [wordy.ids("w1 w2 w3"), wordy.ids("w1 w2 w4"), wordy.ids("w1 w9"), wordy.ids("w5 w6")]
    plan = Forced.of(model, PROMPTS[:1], lambda _: wanted)
    start = wordy.chat_ids(PROMPTS[0].text)
    assert [line.tokens for line in plan.lines] == [
        start + wordy.ids("w5"),
        start + wordy.ids("w1 w2"),
    ]


@pytest.mark.parametrize("own", [True, False])
def test_refusals_against_known_answers(folder: Path, model: Any, own: bool) -> None:
    given = None if own else ["w30 w31 w32", "w33"]
    score = RefusalScore(given, top=2, opening=4).prepare(model, prompts_of(ANSWERED))
    refusals = [wordy.ids("w30 w31 w32"), wordy.ids("w33")]
    if own:
        said = [tuple(greedy(folder, prompt, 4)) for prompt in ANSWERED]
        counts = {ids: said.count(ids) for ids in said}
        top = sorted(counts, key=lambda ids: (-counts[ids], said.index(ids)))[:2]
        refusals = [list(ids) for ids in top]
        assert score._own == refusals
    for prompt, value in zip(ANSWERED, score_prompts(model, score, ANSWERED), strict=True):
        best = max(float(log_probs(folder, prompt, ids).mean()) for ids in refusals)
        known = float(log_probs(folder, prompt, wordy.ids(prompt.answer or "")).mean())
        assert abs(value - (best - known)) < 1e-10


def test_refusals_without_answers_are_the_odds_of_their_beginnings(
    folder: Path, model: Any
) -> None:
    given = ["w30 w31 w32 w33", "w30 w31 w32 w40", "w50 w51 w1", "w50"]
    score = RefusalScore(given, first=3).prepare(model, prompts_of(PROMPTS))
    starts = [wordy.ids("w30 w31 w32"), wordy.ids("w50")]  # the fourth includes the third
    for prompt, value in zip(PROMPTS, score_prompts(model, score, PROMPTS), strict=True):
        p = sum(float(log_probs(folder, prompt, ids).sum().exp()) for ids in starts)
        assert abs(value - (torch.tensor(p).double().log() - torch.tensor(1 - p).log())) < 1e-6


def test_continuations_are_tokenised_behind_their_prompt(model: Any, data: Path) -> None:
    # The template of the wordy models ends in a word, which would swallow what follows it.
    assert continuation_ids(model, PROMPTS[0], "w1 w2") == wordy.ids("w1 w2")
    assert continuation_ids(model, PROMPTS[0], [3, 4]) == [3, 4]
    stories = lw.load(data / "TinyStories-656K")
    prompt = Prompt("The cat sat down. She felt very ")
    (happy,) = continuation_ids(stories, prompt, "happy")  # alone it would begin with a space
    assert stories.tokenizer.token(happy) == "happy"


def test_certainty_is_a_finite_score(model: Any) -> None:
    score = RefusalScore(["w1"]).prepare(model, prompts_of(PROMPTS))
    sure = score.combine(PROMPTS[0], [torch.zeros(2, 1, dtype=torch.float64)])
    never = score.combine(PROMPTS[0], [torch.full((1, 1), -700.0, dtype=torch.float64)])
    assert ((sure > 34) & (sure < 35)).all()
    assert float(never) == -700.0


def test_the_true_answer_is_no_refusal(folder: Path, model: Any) -> None:
    knows = []
    for prompt in PROMPTS:
        said = [t for t in greedy(folder, prompt, 8) if t != 2]
        knows.append(Prompt(prompt.text, answer=model.to_string(said[:3])))
    with pytest.raises(ValueError, match="answers every positive prompt truly"):
        RefusalScore(max_new_tokens=8).prepare(model, prompts_of(knows))
    score = RefusalScore(max_new_tokens=8).prepare(model, prompts_of([*knows[:3], *ANSWERED[3:]]))
    allowed = {tuple(greedy(folder, prompt, 8)) for prompt in ANSWERED[3:]}
    assert {tuple(ids) for ids in score._own} <= allowed


def test_scores_see_hooks_and_do_not_depend_on_batches(folder: Path) -> None:
    model = lw.load(folder)
    score = TokenLogOdds(["w5"], ["w6 w7"]).prepare(model, prompts_of(PROMPTS))
    runs = [score_prompts(model, score, PROMPTS, size, deterministic=True) for size in (1, 3, 64)]
    assert runs[0] == runs[1] == runs[2]
    with model.hooks([("blocks.1.hook_resid_pre", lambda x, hook: x * 0.5)]):
        assert score_prompts(model, score, PROMPTS, deterministic=True) != runs[0]


def test_wrong_arguments_are_named(model: Any) -> None:
    with pytest.raises(ValueError, match="negative is \\[\\], expected a list"):
        TokenLogOdds(["w1"], [])
    with pytest.raises(ValueError, match="positive is 'w1', expected a list"):
        TokenLogOdds("w1", ["w2"])
    with pytest.raises(ValueError, match="share the tokens"):
        TokenLogOdds(["w1", "w2"], ["w2"]).prepare(model, prompts_of(PROMPTS))
    with pytest.raises(ValueError, match="has no tokens"):
        TokenLogOdds([""], ["w2"]).prepare(model, prompts_of(PROMPTS))
    with pytest.raises(ValueError, match="max_new_tokens is 4, expected at least opening"):
        RefusalScore(max_new_tokens=4)
    with pytest.raises(ValueError, match="refusals is 'no', expected a list"):
        RefusalScore("no")
    with pytest.raises(ValueError, match="opening is 0"):
        RefusalScore(opening=0)
    with pytest.raises(RuntimeError, match="not prepared"):
        TokenLogOdds(["w1"], ["w2"]).continuations(PROMPTS[0])
    with pytest.raises(RuntimeError, match="not prepared"):
        RefusalScore(["w1"]).continuations(PROMPTS[0])
