"""McNemar's exact test, and what counts as no answer."""

from __future__ import annotations

import pytest
import torch

from lenswright.measuring.degeneration import degenerate, repetition
from lenswright.measuring.multiple_choice import MultipleChoice
from lenswright.measuring.paired import mcnemar
from lenswright.prompting.prompts import Prompt


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (3, 3), (5, 1), (1, 12), (0, 40), (25, 10)])
def test_p_is_the_binomial_test_of_those_that_turned(lost: int, won: int) -> None:
    from scipy.stats import binomtest

    before = [True] * lost + [False] * won + [True, True, False]
    after = [False] * lost + [True] * won + [True, True, False]
    expected = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1.0
    assert mcnemar(before, after) == pytest.approx(expected, rel=1e-12)
    assert mcnemar(after, before) == mcnemar(before, after)


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="before has 1 prompts and after 2"):
        mcnemar([True], [True, False])


def test_repetition_is_the_share_of_pieces_seen_before() -> None:
    assert repetition([1, 2, 3]) == 0.0
    assert repetition(list(range(20))) == 0.0
    assert repetition([7] * 8) == pytest.approx(4 / 5)
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 / 5)


def test_no_answer_is_an_empty_or_a_repeating_one() -> None:
    assert degenerate(" \n", [5])
    assert degenerate("", [])
    assert degenerate("la " * 20, [7] * 20)
    assert not degenerate("la la la", [7] * 3)  # too short to tell
    assert not degenerate("words", list(range(20)))


def test_a_choice_is_right_where_the_answer_is_the_most_probable() -> None:
    prompt = Prompt("2 + 2 =", "4", {"choices": ["5", "4", "22"]})
    runs = [torch.tensor([[-1.0], [-3.0]]), torch.tensor([[-2.0], [-1.0]]),
            torch.tensor([[-0.4, -0.4], [-2.0, -2.0]])]  # fmt: skip
    assert MultipleChoice().combine(prompt, runs).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("answer", "choices", "told"),
    [("4", ["4"], "at least two"), ("4", ["5", "5"], "at least two"), ("4", "45", "at least two"),
     ("3", ["4", "5"], "expected one of its choices"), (None, ["4", "5"], "expected one of its")],
)  # fmt: skip
def test_bad_choices(answer: str | None, choices: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MultipleChoice().combine(Prompt("x", answer, {"choices": choices}), [])
