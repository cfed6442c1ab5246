"""Collecting more than means from a model, against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lenswright as lw
import wordy
from collected import EVERY, POINT, activations
from lenswright import _core
from lenswright.collecting import accumulators
from lenswright.collecting.statistics import collect
from lenswright.prompting.prompts import Prompt, PromptSet, Splits
from support import same


def test_what_is_kept_is_numpys_of_an_independent_forward(
    wordy_llama: Path, fit: PromptSet
) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    stats = collect(model, fit, POINT, "all", EVERY, batch_size=5)
    x = np.concatenate(activations(wordy_llama, fit.positive))
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


def test_extremes_name_prompt_and_token(wordy_llama: Path, fit: PromptSet) -> None:
    stats = collect(lw.load(wordy_llama, dtype="float64"), fit, POINT, "all", ("mean", "extremes"))
    rows = activations(wordy_llama, fit.negative)
    best = max(
        (float(x[place, 7]), i, place) for i, x in enumerate(rows) for place in range(len(x))
    )
    found = stats.examples("negative", POINT, 7, prompts=fit)
    assert found[0]["value"] == pytest.approx(best[0], abs=1e-12)
    assert found[0]["text"] == fit.negative[best[1]].text
    assert found[0]["place"] == best[2]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_no_batch_size_changes_a_byte(wordy_llama: Path, fit: PromptSet, dtype: str) -> None:
    model = lw.load(wordy_llama, dtype=dtype)
    runs = [collect(model, fit, what=EVERY, batch_size=size) for size in (1, 4, 32)]
    for kind, points in runs[0].parts.items():
        for point, part in points.items():
            for other in runs[1:]:
                mine, theirs = part.state(), other.parts[kind][point].state()
                assert all(same(mine[name], theirs[name]) for name in mine), (kind, point)


def test_sixteen_bits_are_widened_before_anything_is_added(
    wordy_llama: Path, fit: PromptSet
) -> None:
    stats = collect(lw.load(wordy_llama, dtype="bfloat16"), fit, POINT, "last", EVERY)
    x = stats.samples("positive", POINT)
    assert same(x, x.bfloat16().double())  # each is what the model computed
    np.testing.assert_allclose(
        stats.covariance("positive", POINT)[0], np.cov(x.numpy().T), rtol=0, atol=1e-11
    )


def test_winsorised_vectors_depend_on_themselves_alone(wordy_llama: Path, fit: PromptSet) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    stats = collect(model, fit, POINT, "last", ("mean", "samples"), batch_size=7, winsorise=0.9)
    expected = []
    for x in activations(wordy_llama, fit.positive):
        bound = np.quantile(np.abs(x[-1]), 0.9)
        expected.append(np.clip(x[-1], -bound, bound))
    mean = np.mean(expected, 0)
    np.testing.assert_allclose(stats.mean("positive", POINT)[0], mean, rtol=0, atol=1e-12)
    assert stats.provenance["winsorise"] == 0.9
    with pytest.raises(ValueError, match="winsorise is 0"):
        collect(model, fit, POINT, winsorise=0.0)


def test_memory_does_not_grow_with_the_prompts(wordy_llama: Path) -> None:
    texts = wordy.sentences(300, seed=9)
    model = lw.load(wordy_llama)
    what = ("mean", "variance", "covariance", "norms", "extremes", "histogram")
    sizes = []
    for count in (20, 300):
        prompts = [Prompt(text) for text in texts[:count]]
        fit = PromptSet("fit", prompts[: count // 2], prompts[count // 2 :])
        stats = collect(model, fit, POINT, "last", what)
        sizes.append([t.numel() for k in what[2:] for t in stats.parts[k][POINT].state().values()])
    # The quantiles of norms follow their span, everything else is fixed.
    assert sum(sizes[1]) < 1.05 * sum(sizes[0])


def test_pairs_stay_together_and_are_remembered(wordy_llama: Path) -> None:
    texts = wordy.sentences(40, seed=5)
    splits = Splits.from_pairs(zip(texts[:20], texts[20:], strict=True))
    for part in splits.parts:
        names = [{p.extra["pair"] for p in part.of(name)} for name in ("positive", "negative")]
        assert names[0] == names[1]
    stats = collect(lw.load(wordy_llama), splits.fit, POINT, "last", ("mean", "samples"))
    pairs = stats.provenance["fit"]["pairs"]
    assert {pairs[p.digest] for p in splits.fit.positive} == {
        p.extra["pair"] for p in splits.fit.positive
    }


def test_wrong_arguments_are_named(wordy_llama: Path, fit: PromptSet) -> None:
    model = lw.load(wordy_llama)
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


def test_covariances_that_would_not_fit_are_refused_at_once(
    wordy_llama: Path, fit: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(wordy_llama)
    needed = 8 * 4 * 2 * 3 * model.cfg.d_model**2  # cells of 3 points at 2 positions
    monkeypatch.setattr(accumulators, "free_memory", lambda: needed - 1)
    with pytest.raises(ValueError, match="what has 'covariance', which needs"):
        collect(model, fit, "resid_pre", what=("mean", "covariance"))
    monkeypatch.setattr(accumulators, "free_memory", lambda: needed)
    collect(model, fit, "resid_pre", what=("mean", "covariance"))
