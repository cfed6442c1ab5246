"""Directions under shuffled labels: what is there stands out, what is not does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lenswright as lw
import synthetic
from lenswright import _core
from synthetic import POINT


def nothing(seed: int, d: int = 5) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, 1, d)) for n in (14, 18)]


@pytest.mark.parametrize("name", ["difference_of_means", "lda", "pca", "logistic", "leace"])
@pytest.mark.parametrize("measure", ["norm", "separation"])
def test_a_true_difference_stands_out(name: str, measure: str) -> None:
    classes = nothing(1)
    classes[0] = classes[0] + 2.0
    stats = synthetic.statistics(classes)
    found = getattr(lw.directions, name)(stats)
    null = lw.directions.null(stats, found, n=40, measure=measure)
    assert null.observed.shape == (1, 1)
    assert null.values.shape == (1, 1, 40)
    if name != "pca" or measure == "norm":
        assert float(null.p) == pytest.approx(1 / 41)
        assert float(null.z) > 3
    if name == "difference_of_means" and measure == "norm":
        assert float(null.observed) == pytest.approx(float(found.found[POINT].norm))


def test_shuffled_means_are_those_of_numpy() -> None:
    classes = nothing(2)
    stats = synthetic.statistics(classes)
    null = lw.directions.null(stats, lw.directions.difference_of_means(stats), n=25, seed=3)
    x = np.concatenate([stats.samples(c, POINT).numpy() for c in ("positive", "negative")])
    labels = _core.label_permutations(32, 14, 25, 3).numpy()
    expected = [np.linalg.norm(x[one].mean(0) - x[~one].mean(0)) for one in labels]
    np.testing.assert_allclose(null.values[0, 0], expected, rtol=1e-12)
    larger = lw.directions.null(stats, lw.directions.difference_of_means(stats), n=40, seed=3)
    assert torch.equal(larger.values[..., :25], null.values)


def test_where_there_is_nothing_p_is_uniform() -> None:
    values = []
    for seed in range(120):
        stats = synthetic.statistics(nothing(seed), ("mean", "variance", "samples"))
        found = lw.directions.difference_of_means(stats)
        values.append(float(lw.directions.null(stats, found, n=19, seed=seed).p))
    # p is uniform on 1/20 .. 1: mean 0.525, spread 0.288; four standard errors.
    assert abs(np.mean(values) - 0.525) < 4 * 0.288 / np.sqrt(120)
    assert np.mean(np.array(values) <= 0.1) < 0.1 + 4 * 0.3 / np.sqrt(120)


def test_pairs_turn_their_signs() -> None:
    random = np.random.default_rng(0)
    topic = random.normal(size=(20, 1, 5)) * 10
    classes = [topic + 1.0 + 0.1 * random.normal(size=topic.shape), topic]
    stats = synthetic.statistics(classes, pairs=True)
    found = lw.directions.paired(stats)
    null = lw.directions.null(stats, found, n=60)
    assert float(null.observed) == pytest.approx(float(found.found[POINT].norm))
    assert float(null.p) == pytest.approx(1 / 61)
    plain = lw.directions.null(stats, lw.directions.difference_of_means(stats), n=60)
    assert float(plain.p) > 0.05  # topics hide it where pairs are not known


def test_halves_of_nothing_do_not_agree() -> None:
    stats = synthetic.statistics(nothing(5, d=30))
    null = lw.directions.null(
        stats, lw.directions.difference_of_means(stats), n=30, measure="split_cosine"
    )
    assert abs(float(null.values.mean())) < 0.2
    assert null.table()[0]["point"] == POINT
    assert "30 shuffles" in repr(null)
    assert "<svg" in null._repr_html_()


def test_what_cannot_be_shuffled_is_named() -> None:
    classes = nothing(1)
    stats = synthetic.statistics(classes)
    found = lw.directions.difference_of_means(stats)
    bare = synthetic.statistics(classes, ("mean", "variance"))
    with pytest.raises(ValueError, match="expected 'samples' among them"):
        lw.directions.null(bare, found)
    with pytest.raises(ValueError, match="measure is 'size'"):
        lw.directions.null(stats, found, measure="size")
    with pytest.raises(ValueError, match="n is 0"):
        lw.directions.null(stats, found, n=0)
    found.provenance["method"] = "guess"
    with pytest.raises(ValueError, match="found was made by 'guess'"):
        lw.directions.null(stats, found)
