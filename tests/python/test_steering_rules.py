"""Where a steering acts: parts of the template, words, spans, predicates; and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import wordy
from editing import loaded
from lenswright.prompting.prompt_sets import Prompt
from lenswright.steering.acting import Pace
from lenswright.verifying.verify import relative_error
from steering_formulas import NEW, PROMPTS, along, meant, strong, whole_runs

Tiny = Callable[..., Path]


@pytest.mark.parametrize("rule", ["pre_instruction", "instruction", "template"])
def test_parts_that_the_template_tells_apart(tiny: Tiny, tmp_path: Path, rule: str) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"), dtype="float64")
    rows = model.prompt_tokens(wordy.sentences(3, seed=2))
    before, behind = len(wordy.PREFIX), len(wordy.SUFFIX)
    assert before
    expected = whole_runs(
        model, rows, lambda r, p: float(meant([rule], p, len(rows[r]), behind, before))
    )
    steering = strong(model, positions=rule)
    steering.save(tmp_path / "s.safetensors")
    for one in (steering, lw.steering.load(tmp_path / "s.safetensors")):
        with model.steered(one):
            found = model(rows)
        for row, ids in enumerate(rows):
            assert relative_error(found[row, : len(ids)], expected[row]) < 1e-12
    with model.steered(steering), pytest.raises(ValueError, match="prompt of row 0 does not begin"):
        model([rows[0][1:]])


def test_words_and_predicates(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"), dtype="float64")
    rows = model.prompt_tokens(["w5 w9 w7 w9 w3", "w9 w8", "w3 w4"])
    nine, odd = wordy.ids("w9")[0], set(wordy.ids("w3 w5 w7"))

    def last_nine(row: int, place: int) -> float:
        return float(
            nine in rows[row] and place == len(rows[row]) - 1 - rows[row][::-1].index(nine)
        )

    def is_odd(place: int, text: str) -> bool:
        return text.strip() in ("w3", "w5", "w7")

    wanted: list[tuple[Any, Any]] = [
        ("text:w9", last_nine), (is_odd, lambda r, p: float(rows[r][p] in odd)),
        (lambda place, text: place == 1, lambda r, p: float(p == 1)),
        (["text:w9", is_odd], lambda r, p: max(last_nine(r, p), float(rows[r][p] in odd))),
    ]  # fmt: skip
    for rule, weight in wanted:
        expected = whole_runs(model, rows, weight)
        steering = strong(model, positions=rule)
        with model.steered(steering):
            found = model(rows, padding_side="left")
        for row, ids in enumerate(rows):
            assert relative_error(found[row, -len(ids) :], expected[row]) < 1e-12
        how: dict[str, Any] = {"return_logits": True, "stop_at_eos": False, "steering": steering}
        cached, uncached = (model.generate(rows, 5, use_cache=use, **how) for use in (True, False))
        assert relative_error(cached.logits, uncached.logits) < 1e-12
    with pytest.raises(ValueError, match=r"add 6 .* are a predicate, which no file can hold"):
        strong(model, positions=is_odd).save(tmp_path / "s.safetensors")
    assert not (tmp_path / "s.safetensors").exists()
    for rule, message in (
        ("text:w20", "positions is 'text:w20', which finds no token in any prompt"),
        (lambda place, text: False, "which finds no token in any prompt"),
    ):
        with model.steered(strong(model, positions=rule)), pytest.raises(ValueError, match=message):
            model(rows)
    for rule, message in (
        ("span:topic", r"expected lw\.steering\.spans\(prompts, 'topic'\)"),
        ("text: ", "'text:WORDS'"),
        ("instructio", "did you mean 'instruction'"),
    ):
        with pytest.raises(ValueError, match=message):
            strong(model, positions=rule)


def test_spans_that_prompts_name(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"), dtype="float64")
    texts = [("w5 w9 w7 w9 w3", "w9"), ("w9 w8 w4", "w8 w4"), ("w3 w4 w6", "w3"), ("w2", "w2")]
    prompts = [Prompt(text, extra={"topic": topic}) for text, topic in texts]
    rows = model.prompt_tokens([text for text, _ in texts])
    start = len(wordy.PREFIX)
    wanted = [{start + 3}, {start + 1, start + 2}, {start}, {start}]
    expected = whole_runs(model, rows, lambda r, p: float(p in wanted[r]))
    steering = strong(model, positions=lw.steering.spans(prompts, "topic"))
    assert "positions span:topic" in str(steering)
    steering.save(tmp_path / "s.safetensors")
    loaded_ = lw.steering.load(tmp_path / "s.safetensors")
    assert loaded_ == steering
    assert loaded_ != strong(model, positions=lw.steering.spans(prompts[:3], "topic"))
    for one in (steering, loaded_):
        with model.steered(one):
            found = model(rows)
        for row, ids in enumerate(rows):
            assert relative_error(found[row, : len(ids)], expected[row]) < 1e-12
    with model.steered(steering), pytest.raises(ValueError, match="row 1 is none of the 4 prompts"):
        model([rows[0], rows[0][:-1]])
    with pytest.raises(KeyError, match="has no 'subject'"):
        lw.steering.spans(prompts, "subject")
    with pytest.raises(ValueError, match="'w77' does not occur"):
        lw.steering.spans([Prompt("w5", extra={"topic": "w77"})], "topic")
    with pytest.raises(ValueError, match="prompts is empty"):
        lw.steering.spans([], "topic")


def test_positions_and_schedules_cost_a_look_a_pass(tiny: Tiny, tmp_path: Path) -> None:
    """Positions are worked out once a pass for all layers, and where none is meant nothing is."""
    model = loaded(tiny, tmp_path, "llama")
    counts = {"passes": 0, "sums": 0}
    reading_of = Pace._of

    def counted(self: Pace, now: torch.Tensor) -> Any:
        counts["passes"] += 1
        found = reading_of(self, now)
        counts["sums"] += isinstance(found, torch.Tensor) or found != 0
        return found

    how: dict[str, Any] = {"layers": "all", "over_tokens": {1: 1.0, 4: 3.0}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pace, "_of", counted)
        steering = lw.steering.add(along(model), 1.0, positions="decode", **how)
        model.generate(PROMPTS[:1], NEW, stop_at_eos=False, steering=steering)
        assert counts == {"passes": NEW, "sums": NEW - 1}
        counts.update(passes=0, sums=0)
        steering = lw.steering.add(along(model), 1.0, positions="last", **how)
        model.generate(PROMPTS, NEW, stop_at_eos=False, steering=steering)
        assert counts == {"passes": 1, "sums": 1}
