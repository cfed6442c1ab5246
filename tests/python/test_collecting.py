"""Collecting more than means from a model: rules of positions, winsorising, resuming, Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import wordy
from lenswright import _core, statistics
from lenswright.prompts import Prompt, PromptSet, Splits
from lenswright.statistics import Statistics, collect
from plain import Plain
from support import same

POINT = "blocks.1.hook_resid_pre"
EVERY = ("mean", "variance", "covariance", "norms", "extremes", "quantiles", "histogram", "samples")


@pytest.fixture(scope="module")
def folder(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wordy.copy(tiny("llama-grouped"), tmp_path_factory.mktemp("collect") / "model")


@pytest.fixture(scope="module")
def fit() -> PromptSet:
    texts = wordy.sentences(22, seed=3)
    return PromptSet("fit", [Prompt(t) for t in texts[:12]], [Prompt(t) for t in texts[12:]])


def activations(folder: Path, prompts: Any, point: str = POINT) -> list[np.ndarray]:
    """[tokens, d] of every prompt, run by itself through an independent forward in float64."""
    model = Plain(folder)
    return [
        model.forward(torch.tensor([wordy.chat_ids(p.text)]))[point][0].detach().flatten(1).numpy()
        for p in prompts
    ]


def test_what_is_kept_is_numpys_of_an_independent_forward(folder: Path, fit: PromptSet) -> None:
    model = lw.load(folder, dtype="float64")
    stats = collect(model, fit, POINT, "all", EVERY, batch_size=5)
    x = np.concatenate(activations(folder, fit.positive))
    np.testing.assert_allclose(
        stats.covariance("positive", POINT)[0], np.cov(x.T), rtol=0, atol=1e-11
    )
    norms = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(stats.norms("positive", POINT)["mean"][0], norms.mean(), rtol=1e-12)
    exact = np.quantile(x, 0.7, axis=0, method="lower")
    got = stats.quantile("positive", POINT, 0.7)[0].numpy()
    assert (np.abs(got - exact) <= 0.01 * np.abs(exact) * (1 + 1e-9) + 1e-9).all()
    assert stats.histogram("positive", POINT)[0].sum() == x.size
    assert len(stats.samples("positive", POINT)) == len(x)


def test_extremes_name_prompt_and_token(folder: Path, fit: PromptSet) -> None:
    stats = collect(lw.load(folder, dtype="float64"), fit, POINT, "all", ("mean", "extremes"))
    rows = activations(folder, fit.negative)
    best = max(
        (float(x[place, 7]), i, place) for i, x in enumerate(rows) for place in range(len(x))
    )
    found = stats.examples("negative", POINT, 7, prompts=fit)
    assert found[0]["value"] == pytest.approx(best[0], abs=1e-12)
    assert found[0]["text"] == fit.negative[best[1]].text
    assert found[0]["place"] == best[2]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_no_batch_size_changes_a_byte(folder: Path, fit: PromptSet, dtype: str) -> None:
    model = lw.load(folder, dtype=dtype)
    runs = [collect(model, fit, what=EVERY, batch_size=size) for size in (1, 4, 32)]
    for kind, points in runs[0].parts.items():
        for point, part in points.items():
            for other in runs[1:]:
                mine, theirs = part.state(), other.parts[kind][point].state()
                assert all(same(mine[name], theirs[name]) for name in mine), (kind, point)


def test_sixteen_bits_are_widened_before_anything_is_added(folder: Path, fit: PromptSet) -> None:
    stats = collect(lw.load(folder, dtype="bfloat16"), fit, POINT, "last", EVERY)
    x = stats.samples("positive", POINT)
    assert same(x, x.bfloat16().double())  # each is what the model computed
    np.testing.assert_allclose(
        stats.covariance("positive", POINT)[0], np.cov(x.numpy().T), rtol=0, atol=1e-11
    )


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
def test_rules_of_many_tokens(folder: Path, fit: PromptSet, name: str) -> None:
    model = lw.load(folder, dtype="float64")
    rule, expected = rules(model)[name]
    stats = collect(model, fit, POINT, rule, ("mean", "samples"), batch_size=3)
    rows = [
        x[expected(f"<begin> <user> {p.text} <end> <bot>".split())]
        for p, x in zip(fit.positive, activations(folder, fit.positive), strict=True)
    ]
    x = np.concatenate(rows)
    assert stats.n("positive").tolist() == [len(x)]
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], x.mean(0), rtol=0, atol=1e-12)


def test_first_and_pre_instruction(folder: Path, fit: PromptSet) -> None:
    model = lw.load(folder, dtype="float64")
    first = collect(model, fit, POINT, "first")
    before = collect(model, fit, POINT, "pre_instruction")
    assert (first.positions, first.offsets) == (("first",), (0,))
    assert [label.strip() for label in before.positions] == ["<begin>", "<user>"]
    x = np.stack([x[:2] for x in activations(folder, fit.positive)]).mean(0)
    np.testing.assert_allclose(first.mean("positive", POINT)[0], x[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(before.mean("positive", POINT), x, rtol=0, atol=1e-12)


def test_spans_are_found_by_their_text(folder: Path) -> None:
    rows = [("w1 w2 w3 w2", "w2"), ("w4 w5 w6", "w4 w5"), ("w7 w8", "w8")]
    prompts = [Prompt(text, extra={"subject": span}) for text, span in rows]
    places = [[5], [2, 3], [3]]
    model = lw.load(folder, dtype="float64")
    fit = PromptSet("fit", prompts[:2], prompts[2:])
    stats = collect(model, fit, POINT, "span:subject", ("mean", "samples"))
    x = activations(folder, prompts)
    expected = np.concatenate([x[i][places[i]] for i in range(2)]).mean(0)
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], expected, rtol=0, atol=1e-12)
    with pytest.raises(KeyError, match="has no 'object'"):
        collect(model, fit, POINT, "span:object")
    lost = PromptSet("fit", [Prompt("w1", extra={"subject": "w9"})], prompts[2:])
    with pytest.raises(ValueError, match="'w9' does not occur in 'w1'"):
        collect(model, lost, POINT, "span:subject")
    with pytest.raises(ValueError, match="finds no token"):
        collect(model, fit, POINT, lambda place, text: False)


def test_winsorised_vectors_depend_on_themselves_alone(folder: Path, fit: PromptSet) -> None:
    model = lw.load(folder, dtype="float64")
    stats = collect(model, fit, POINT, "last", ("mean", "samples"), batch_size=7, winsorise=0.9)
    expected = []
    for x in activations(folder, fit.positive):
        bound = np.quantile(np.abs(x[-1]), 0.9)
        expected.append(np.clip(x[-1], -bound, bound))
    mean = np.mean(expected, 0)
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], mean, rtol=0, atol=1e-12)
    assert stats.provenance["winsorise"] == 0.9
    with pytest.raises(ValueError, match="winsorise is 0"):
        collect(model, fit, POINT, winsorise=0.0)


class Stop(Exception):
    pass


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, stop: Callable[[], None]) -> None:
    """Let `stop` happen within the run of a later batch."""
    run, count = statistics.run_taps, 0

    def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == after:
            stop()
        return run(*arguments, **named)

    monkeypatch.setattr(statistics, "run_taps", counting)


def equal(one: Statistics, other: Statistics, limit: float = 1e-12) -> None:
    for name in one.classes:
        assert same(one.n(name), other.n(name))
        for method in ("mean", "variance", "covariance"):
            a, b = (getattr(s, method)(name, POINT) for s in (one, other))
            assert (a - b).abs().max() <= limit * a.abs().max()
        assert same(one.samples(name, POINT), other.samples(name, POINT))
        assert same(one.extremes(name, POINT).values, other.extremes(name, POINT).values)


def test_ctrl_c_keeps_whole_batches_and_the_same_call_goes_on(
    folder: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(folder, dtype="float64")
    path = tmp_path / "unfinished.safetensors"
    whole = collect(model, fit, POINT, "last", EVERY, batch_size=4)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupted(patch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match=r"12 prompts are in .*unfinished"):
            collect(model, fit, POINT, "last", EVERY, batch_size=4, checkpoint=path)
    assert path.exists()
    assert signal.getsignal(signal.SIGINT) is before
    runs = 0
    with monkeypatch.context() as patch:
        run = statistics.run_taps

        def counting(*arguments: Any) -> Any:
            nonlocal runs
            runs += 1
            return run(*arguments)

        patch.setattr(statistics, "run_taps", counting)
        again = collect(model, fit, POINT, "last", EVERY, batch_size=4, checkpoint=path)
    assert runs == 3  # 10 prompts of 22 were left
    assert not path.exists()
    equal(whole, again)


def test_a_crash_goes_on_from_the_last_write(
    folder: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(folder, dtype="float64")
    path = tmp_path / "unfinished.safetensors"

    def crash() -> None:
        raise Stop

    with monkeypatch.context() as patch:
        interrupted(patch, 4, crash)
        with pytest.raises(Stop):
            collect(model, fit, POINT, "last", EVERY, batch_size=5, checkpoint=path, every=0.0)
    again = collect(model, fit, POINT, "last", EVERY, batch_size=2, checkpoint=path)
    equal(collect(model, fit, POINT, "last", EVERY), again)


def test_a_checkpoint_of_something_else_is_refused(
    folder: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(folder, dtype="float64")
    path = tmp_path / "unfinished.safetensors"
    with monkeypatch.context() as patch:
        interrupted(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            collect(model, fit, POINT, "last", batch_size=4, checkpoint=path)
    with pytest.raises(ValueError, match="is that of another collection: its what differ"):
        collect(model, fit, POINT, "last", EVERY, checkpoint=path)
    other = PromptSet("fit", fit.positive[1:], fit.negative)
    with pytest.raises(ValueError, match="its provenance differ"):
        collect(model, other, POINT, "last", checkpoint=path)
    with pytest.raises(ValueError, match="holds no collecting"):
        collect(model, fit, POINT, "last", checkpoint=folder / "model.safetensors")


def test_memory_does_not_grow_with_the_prompts(folder: Path) -> None:
    texts = wordy.sentences(300, seed=9)
    model = lw.load(folder)
    what = ("mean", "variance", "covariance", "norms", "extremes", "histogram")
    sizes = []
    for count in (20, 300):
        prompts = [Prompt(text) for text in texts[:count]]
        fit = PromptSet("fit", prompts[: count // 2], prompts[count // 2 :])
        stats = collect(model, fit, POINT, "last", what)
        sizes.append([t.numel() for k in what[2:] for t in stats.parts[k][POINT].state().values()])
    # The quantiles of norms follow their span, everything else is fixed.
    assert sum(sizes[1]) < 1.05 * sum(sizes[0])


def test_pairs_stay_together_and_are_remembered(folder: Path) -> None:
    texts = wordy.sentences(40, seed=5)
    splits = Splits.from_pairs(zip(texts[:20], texts[20:], strict=True))
    for part in splits.parts:
        names = [{p.extra["pair"] for p in part.of(name)} for name in ("positive", "negative")]
        assert names[0] == names[1]
    stats = collect(lw.load(folder), splits.fit, POINT, "last", ("mean", "samples"))
    pairs = stats.provenance["fit"]["pairs"]
    assert {pairs[p.digest] for p in splits.fit.positive} == {
        p.extra["pair"] for p in splits.fit.positive
    }


def test_wrong_arguments_are_named(folder: Path, fit: PromptSet) -> None:
    model = lw.load(folder)
    with pytest.raises(ValueError, match=r"what has 'covarianc'.*did you mean 'covariance'"):
        collect(model, fit, what=("mean", "covarianc"))
    with pytest.raises(ValueError, match="edges has shape"):
        collect(model, fit, what=("mean", "histogram"), edges=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"error is 0\.7"):
        collect(model, fit, what=("mean", "quantiles"), error=0.7)
    with pytest.raises(ValueError, match="0 each, expected at least one"):
        collect(model, fit, what=("mean", "extremes"), examples=0)
    with pytest.raises(ValueError, match="every is -1"):
        collect(model, fit, every=-1.0)
    assert isinstance(_core.Moments(1, 1), _core.Accumulator)
