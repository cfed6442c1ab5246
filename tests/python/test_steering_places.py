"""Where and when a steering acts: positions, schedules, cached and uncached, rows by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import wordy
from editing import loaded
from lenswright.verifying.verify import relative_error
from steering_formulas import NEW, POINT, PROMPTS, along, meant, strong, whole_runs
from support import random_tokens, same

Tiny = Callable[..., Path]

RULES: list[list[Any]] = [
    ["all"], ["prefill"], ["decode"], ["last"], ["first"], [-2], [1], ["last", "decode"],
    [slice(1, None)], [slice(-3, -1)], [slice(None, 2), "decode"], [slice(0, 2)], [0, -1],
]  # fmt: skip


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("rules", RULES, ids=str)
def test_positions_of_prompts(tiny: Tiny, tmp_path: Path, rules: list[Any], side: Any) -> None:
    model = loaded(tiny, tmp_path, "llama")
    expected = whole_runs(model, PROMPTS, lambda r, p: float(meant(rules, p, len(PROMPTS[r]))))
    with model.steered(strong(model, positions=rules)):
        found = model(PROMPTS, padding_side=side)
        alone = [model([row])[0] for row in PROMPTS]
    width = found.shape[1]
    for row, ids in enumerate(PROMPTS):
        start = width - len(ids) if side == "left" else 0
        own = found[row, start : start + len(ids)]
        assert relative_error(own, expected[row]) < 1e-12
        assert relative_error(alone[row], expected[row]) < 1e-12


@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2"])
@pytest.mark.parametrize("rules", RULES, ids=str)
def test_cached_is_uncached_is_the_whole_text(
    tiny: Tiny, tmp_path: Path, rules: list[Any], name: str
) -> None:
    model = loaded(tiny, tmp_path, name)
    schedule = {0: 0.8, 1: 1.0, 6: 0.2}
    steering = strong(model, positions=rules, over_tokens=schedule)
    how: dict[str, Any] = {"return_logits": True, "stop_at_eos": False, "steering": steering}
    cached = model.generate(PROMPTS, NEW, **how)
    uncached = model.generate(PROMPTS, NEW, use_cache=False, padding_side="left", **how)
    assert cached.tokens == uncached.tokens
    assert relative_error(cached.logits, uncached.logits) < 1e-12

    def weight(row: int, place: int) -> float:
        prompt = len(PROMPTS[row])
        said = max(place - prompt + 1, 0)
        factor = 0.8 + 0.2 * said if said < 1 else max(1.0 - 0.8 * (said - 1) / 5, 0.2)
        return factor * meant(rules, place, prompt)

    texts = [old + new for old, new in zip(PROMPTS, cached.tokens, strict=True)]
    for row, logits in enumerate(whole_runs(model, texts, weight)):
        start = len(PROMPTS[row]) - 1
        assert relative_error(cached.logits[row], logits[start : start + NEW]) < 1e-12
        alone = model.generate([PROMPTS[row]], NEW, **how)
        assert alone.tokens[0] == cached.tokens[row]
        assert relative_error(alone.logits[0], cached.logits[row]) < 1e-12
    with model.steered(steering):
        again = model.generate(PROMPTS, NEW, return_type="tokens", stop_at_eos=False)
    assert again == cached.tokens


def test_conditions_and_valued_operations_are_the_same_cached(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2")
    v, w = along(model), along(model, 1)
    condition = lw.steering.when(along(model, 2), 0.0)
    steering = (
        lw.steering.clamp(v, 2.0, layers=0, positions="decode", when=condition)
        + lw.steering.swap(v, w, layers="all", positions=["last", "decode"])
        + lw.steering.add(w, 0.4, "token", layers=2, preserve_norm=True)
        + lw.steering.cap(v, 0.5, layers=[1, 2], at="mlp_out", over_tokens={2: 1.0, 5: 0.0})
    )
    how: dict[str, Any] = {"return_logits": True, "stop_at_eos": False, "steering": steering}
    cached = model.generate(PROMPTS, NEW, **how)
    uncached = model.generate(PROMPTS, NEW, use_cache=False, **how)
    assert cached.tokens == uncached.tokens
    assert relative_error(cached.logits, uncached.logits) < 1e-12
    plain = model.generate(PROMPTS, NEW, return_logits=True, stop_at_eos=False)
    assert relative_error(plain.logits, cached.logits) > 1e-2


def test_a_shared_beginning_is_read_once_where_rows_are_steered_alike(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = loaded(tiny, tmp_path, "llama")
    start = random_tokens(1, 20)[0].tolist()
    rows = [[*start, 3, 9], [*start, 8], [*start, 4, 4, 4]]
    for rules in (["all"], ["first"], ["prefill"], ["decode"], [slice(2, 6)], [-2], ["last"]):
        steering = strong(model, positions=rules)
        assert steering.alike == (rules not in ([-2], ["last"]))
        how: dict[str, Any] = {"return_logits": True, "stop_at_eos": False, "steering": steering}
        shared = model.generate(rows, 5, **how)
        with lw._core.deterministic():  # shares nothing
            apart = model.generate(rows, 5, **how)
        assert shared.tokens == apart.tokens
        assert relative_error(shared.logits, apart.logits) < 1e-12


def test_captures_of_a_generation_are_steered(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    plain = model.generate(PROMPTS, NEW, stop_at_eos=False, names_filter=POINT, return_type="both")
    assert plain.cache is not None
    steering = lw.steering.clamp(along(model), 3.0, layers=1, positions="decode")
    made = model.generate(
        PROMPTS, NEW, stop_at_eos=False, names_filter=POINT, return_type="both", steering=steering
    )
    u = along(model) / along(model).norm()
    for row, ids in enumerate(PROMPTS):
        h = made.cache[POINT][row]
        said = h[len(ids) : len(ids) + NEW - 1] @ u
        assert relative_error(said, torch.full_like(said, 3.0)) < 1e-12
        assert relative_error(h[: len(ids)], plain.cache[POINT][row, : len(ids)]) < 1e-12


def test_rows_are_the_same_bytes_when_deterministic(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2", "float32")
    steering = strong(model, positions=["last", "decode"]) + lw.steering.add(
        along(model), 0.3, "token", layers="all", preserve_norm=True
    )
    with lw._core.deterministic(), model.steered(steering):
        together, again = model(PROMPTS), model(PROMPTS)
        assert same(together, again)
        for row, ids in enumerate(PROMPTS):
            assert same(together[row, : len(ids)], model([ids])[0])


def test_what_follows_the_instruction(tiny: Tiny, tmp_path: Path) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"), dtype="float64")
    rows = model.prompt_tokens(wordy.sentences(3, seed=2))
    rules = ["post_instruction"]
    count = len(wordy.SUFFIX)
    expected = whole_runs(model, rows, lambda r, p: float(meant(rules, p, len(rows[r]), count)))
    steering = strong(model, positions="post_instruction")
    with model.steered(steering):
        found = model(rows)
        for row, ids in enumerate(rows):
            assert relative_error(found[row, : len(ids)], expected[row]) < 1e-12
        with pytest.raises(ValueError, match=r"prompt of row 1 does not end as the chat template"):
            model([rows[0], rows[0][:-1]])
    bare = loaded(tiny, tmp_path, "gpt2")
    wordy.add_tokenizer(bare.folder, chat=False)
    unknown = bare.steered(strong(bare, positions="post_instruction"))
    with unknown, pytest.raises(ValueError, match="there is no chat template; expected 'last'"):
        bare(random_tokens(1, 4))


@pytest.mark.parametrize(
    ("positions", "error", "message"),
    [
        (3, IndexError, "positions has 3, but the prompt of row 1 has 3 tokens"),
        (-4, IndexError, "positions has -4, but the prompt of row 1 has 3 tokens"),
        (slice(11, 20), ValueError, r"span 11:20, which holds no token .* longest has 11"),
    ],
)
def test_positions_beyond_prompts_are_errors(
    tiny: Tiny, tmp_path: Path, positions: Any, error: Any, message: str
) -> None:
    model = loaded(tiny, tmp_path, "llama")
    steering = strong(model, positions=positions)
    with model.steered(steering), pytest.raises(error, match=message):
        model(PROMPTS)
    with pytest.raises(error, match=message):
        model.generate(PROMPTS, 2, steering=steering)


def test_a_run_that_never_reaches_the_layer_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    with model.steered(strong(model)), pytest.raises(ValueError, match="would never fire"):
        model(torch.zeros(1, 2, 30), start_at_layer=2)
