"""What is said under a steering: streams, conversations, forced answers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import embedded
import lenswright as lw
import wordy
from editing import loaded
from lenswright.measuring.responses import answer_residuals
from lenswright.verifying.verify import relative_error
from steering_formulas import NEW, POINT, PROMPTS, along, apply, strong

Tiny = Callable[..., Path]


def test_forced_answers_are_decoded(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    last = "blocks.2.hook_resid_post"
    steering = strong(model, positions="decode", over_tokens={1: 1.0, 4: 3.0})
    made = model.generate(
        PROMPTS, NEW, stop_at_eos=False, names_filter=last, steering=steering, return_type="both"
    )
    pairs = list(zip(PROMPTS, made.tokens, strict=True))
    with torch.no_grad(), model.steered(steering):
        forced = answer_residuals(model, pairs, 2)
    for row, ids in enumerate(PROMPTS):
        said = made.cache[last][row, len(ids) - 1 : len(ids) - 1 + NEW]
        assert relative_error(forced[row], said) < 1e-12


def test_forced_scores_are_those_of_what_is_said(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"), dtype="float64")
    rows = [{"prompt": p} for p in wordy.sentences(12, seed=1)]
    splits = lw.Splits.from_rows(rows[:6], rows[6:], seed=0)
    score = lw.directions.TokenLogOdds([[20, 21, 22]], [[30, 31]]).prepare(model, splits.test)
    prompts = [*splits.test]
    steering = strong(model, positions="decode")
    with model.steered(steering):
        found = lw.directions.score_prompts(model, score, prompts)
    for prompt, value in zip(prompts, found, strict=True):
        sides = []
        for answer in ([20, 21, 22], [30, 31]):
            start = wordy.chat_ids(prompt.text)

            def hook(h: torch.Tensor, hook: Any, n: int = len(start)) -> torch.Tensor:
                return apply(h, "add", along(model), 6.0, lambda _, place: float(place >= n))

            logits = model.run_with_hooks([start + answer[:-1]], fwd_hooks=[(POINT, hook)])[0]
            steps = torch.log_softmax(logits[len(start) - 1 :], -1)
            sides.append(float(sum(steps[i, token] for i, token in enumerate(answer))))
        assert abs(value - (sides[0] - sides[1])) < 1e-10


def test_a_stream_is_steered_as_at_the_call_and_leaves_nothing_alive() -> None:
    model = embedded.model()
    steering = lw.steering.add(along(model), 30.0, layers=[1, 2], positions="decode")
    tokens = model.chat_tokens("make a kettle")
    plain = model.generate(tokens, 8, return_type="tokens")
    expected = model.generate(tokens, 8, return_type="tokens", steering=steering)
    with model.steered(steering):
        stream = model.generate_stream(tokens, 8)
    assert [token for chunk in stream for token in chunk.ids] == expected[0] != plain[0]
    stream = model.generate_stream(tokens, 8, steering=steering)
    decoding = weakref.ref(stream.gi_frame.f_locals[".0"].gi_frame.f_locals["self"])  # type: ignore[attr-defined]
    assert decoding() is not None
    next(stream)
    stream.close()
    del stream
    gc.collect()
    assert decoding() is None


def test_a_conversation_is_steered() -> None:
    model = embedded.model()
    steering = lw.steering.add(along(model), 30.0, layers=[1, 2], positions="decode")
    said = []
    for talk in (lw.Conversation(model, steering=steering), lw.Conversation(model)):
        list(talk.say("make a kettle"))
        said.append(talk.replies[-1].answer)
    with model.steered(steering):
        talk = lw.Conversation(model)
        list(talk.say("make a kettle"))
    assert talk.replies[-1].answer == said[0] != said[1]
