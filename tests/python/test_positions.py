"""Rules of positions: which tokens of a prompt are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lenswright as lw
import wordy
from collected import POINT, activations
from lenswright.collecting.statistics import collect
from lenswright.prompting.prompts import Prompt, PromptSet, Splits


def rules(model: lw.Model) -> dict[str, tuple[Any, Callable[[list[str]], list[int]]]]:
    """A rule of many tokens, and the places it should find among a prompt's words."""
    return {
        "instruction": ("instruction", lambda words: list(range(2, len(words) - 2))),
        "template": ("template", lambda words: [0, 1, len(words) - 2, len(words) - 1]),
        "slice": (slice(1, -1), lambda words: list(range(1, len(words) - 1))),
        "even": (
            lambda place, text: place > 1 and text.strip() > "w5",
            lambda words: [i for i, w in enumerate(words) if i > 1 and w > "w5"],
        ),
    }


@pytest.mark.parametrize("name", ["instruction", "template", "slice", "even"])
def test_rules_of_many_tokens(wordy_llama: Path, fit: PromptSet, name: str) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    rule, expected = rules(model)[name]
    stats = collect(model, fit, POINT, rule, ("mean", "samples"), batch_size=3)
    rows = [
        x[expected(f"<begin> <user> {p.text} <end> <bot>".split())]
        for p, x in zip(fit.positive, activations(wordy_llama, fit.positive), strict=True)
    ]
    x = np.concatenate(rows)
    assert stats.n("positive").tolist() == [len(x)]
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], x.mean(0), rtol=0, atol=1e-12)


def test_first_and_pre_instruction(wordy_llama: Path, fit: PromptSet) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    first = collect(model, fit, POINT, "first")
    before = collect(model, fit, POINT, "pre_instruction")
    assert (first.positions, first.offsets) == (("first",), (0,))
    assert [label.strip() for label in before.positions] == ["<begin>", "<user>"]
    x = np.stack([x[:2] for x in activations(wordy_llama, fit.positive)]).mean(0)
    np.testing.assert_allclose(first.mean("positive", POINT)[0], x[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(before.mean("positive", POINT), x, rtol=0, atol=1e-12)


def test_spans_are_found_by_their_text(wordy_llama: Path) -> None:
    rows = [("w1 w2 w3 w2", "w2"), ("w4 w5 w6", "w4 w5"), ("w7 w8", "w8")]
    prompts = [Prompt(text, extra={"subject": span}) for text, span in rows]
    places = [[5], [2, 3], [3]]
    model = lw.load(wordy_llama, dtype="float64")
    fit = PromptSet("fit", prompts[:2], prompts[2:])
    stats = collect(model, fit, POINT, "span:subject", ("mean", "samples"))
    x = activations(wordy_llama, prompts)
    expected = np.concatenate([x[i][places[i]] for i in range(2)]).mean(0)
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], expected, rtol=0, atol=1e-12)
    with pytest.raises(KeyError, match="has no 'object'"):
        collect(model, fit, POINT, "span:object")
    lost = PromptSet("fit", [Prompt("w1", extra={"subject": "w9"})], prompts[2:])
    with pytest.raises(ValueError, match="'w9' does not occur in 'w1'"):
        collect(model, lost, POINT, "span:subject")
    with pytest.raises(ValueError, match="finds no token"):
        collect(model, fit, POINT, lambda place, text: False)


def test_prompts_that_end_alike_do_not_pass_for_template(wordy_llama: Path) -> None:
    def rows(start: int) -> list[str]:
        return [f"{word} w80 w81" for word in wordy.WORDS[start : start + 4]]

    roles = ("fit", "select", "test")
    splits = Splits.from_parts(
        **{r: {"positive": rows(8 * i), "negative": rows(8 * i + 4)} for i, r in enumerate(roles)}
    )
    stats = collect(lw.load(wordy_llama), splits.fit, points="blocks.1.hook_resid_pre")
    assert stats.offsets == (-2, -1)
    assert stats.provenance["suffix"] == 2


def test_without_a_template_there_is_no_post_instruction(
    tiny: Callable[..., Path], tmp_path: Path, fit: PromptSet
) -> None:
    model = lw.load(wordy.copy(tiny("gpt2"), tmp_path / "base", chat=False))
    with pytest.raises(ValueError, match="no tokens follow the instruction"):
        collect(model, fit)
    assert collect(model, fit, positions="last").provenance["suffix"] == 0
    longer = [Prompt(f"{prompt.text} w80 w81 w82") for prompt in fit]
    shared = collect(model, PromptSet("fit", longer[:12], longer[12:]))
    assert [label.strip() for label in shared.positions] == ["w80", "w81", "w82"]
