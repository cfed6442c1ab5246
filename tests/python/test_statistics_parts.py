"""What statistics keep beyond moments, against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import synthetic
from lenswright.collecting.accumulators import Kind, default_edges
from lenswright.collecting.moments import Statistics
from support import same
from synthetic import EVERY, POINT

CLASSES = synthetic.data(n=(90, 71), positions=2, d=6)


@pytest.fixture(scope="module")
def stats() -> Statistics:
    return synthetic.statistics(CLASSES)


@pytest.mark.parametrize("index", [0, 1])
def test_covariances_and_second_moments_are_numpys(stats: Statistics, index: int) -> None:
    name, x = stats.classes[index], CLASSES[index]
    found, moment = stats.covariance(name, POINT), stats.second_moment(name, POINT)
    for position in range(2):
        rows = x[:, position]
        np.testing.assert_allclose(found[position], np.cov(rows.T), rtol=0, atol=1e-11)
        expected = rows.T @ rows / len(rows)
        np.testing.assert_allclose(moment[position], expected, rtol=1e-12)
        diagonal = stats.variance(name, POINT)[position]
        np.testing.assert_allclose(found[position].diagonal(), diagonal, rtol=1e-11)


def test_norms_are_numpys(stats: Statistics) -> None:
    norms = np.linalg.norm(CLASSES[0], axis=-1)
    found = stats.norms("positive", POINT)
    np.testing.assert_allclose(found["mean"], norms.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found["variance"], norms.var(0, ddof=1), rtol=1e-11)
    np.testing.assert_allclose(found["smallest"], norms.min(0), rtol=1e-15)
    np.testing.assert_allclose(found["largest"], norms.max(0), rtol=1e-15)
    for q in (0.1, 0.5, 0.99):
        exact = np.quantile(norms, q, axis=0, method="lower")
        got = stats.norm_quantile("positive", POINT, q).numpy()
        assert (np.abs(got - exact) <= 0.01 * exact * (1 + 1e-9)).all()


@pytest.mark.parametrize("error", [0.001, 0.01, 0.05])
def test_quantiles_keep_the_error_they_promise(error: float) -> None:
    random = np.random.default_rng(3)
    heavy = [random.standard_cauchy(size=(400, 1, 5)) * 10.0 ** np.arange(-3, 2) for _ in range(2)]
    stats = synthetic.statistics(heavy, ("mean", "quantiles"), how=Kind(error=error))
    for q in (0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0):
        exact = np.quantile(heavy[1][:, 0], q, axis=0, method="lower")
        got = stats.quantile("negative", POINT, q)[0].numpy()
        assert (np.abs(got - exact) <= error * np.abs(exact) * (1 + 1e-9) + 1e-9).all()


def test_extremes_say_where_they_come_from(stats: Statistics) -> None:
    for largest in (True, False):
        found = stats.extremes("negative", POINT, largest)
        assert found.values.shape == (2, 3, 6)
        rows = CLASSES[1][:, 1]
        order = np.argsort(-rows if largest else rows, axis=0)[:3]
        np.testing.assert_array_equal(found.values[1], np.take_along_axis(rows, order, 0))
        np.testing.assert_array_equal(found.keys[1], order + 90)
        assert (found.places[1] == 1).all()
    best = stats.examples("negative", POINT, 4, position="p0")
    first = int(np.argmax(CLASSES[1][:, 0, 4]))
    assert best[0] == {
        "value": CLASSES[1][first, 0, 4], "digest": synthetic.digest(90 + first), "place": 0,
    }  # fmt: skip
    assert len(best) == 3


def test_histograms_are_numpys() -> None:
    edges = (-5.0, -1.0, 0.0, 0.5, 4.0)
    stats = synthetic.statistics(CLASSES, ("mean", "histogram"), how=Kind(edges=edges))
    counts, kept = stats.histogram("positive", POINT)
    np.testing.assert_array_equal(kept, edges)
    for position in range(2):
        x = CLASSES[0][:, position]
        inner, _ = np.histogram(x, edges)
        np.testing.assert_array_equal(counts[position, 1:-1], inner)
        assert counts[position, 0] == (x < -5).sum()
        assert counts[position, -1] == (x > 4).sum()
    default = default_edges()
    assert len(default) == 2 * 33
    assert default[33] == pytest.approx(1e-4)


def test_samples_come_back_by_prompt(stats: Statistics) -> None:
    np.testing.assert_array_equal(
        np.sort(stats.samples("positive", POINT, "p1").numpy(), axis=0),
        np.sort(CLASSES[0][:, 1], axis=0),
    )
    keys = stats.sample_keys("positive", POINT, -1)
    with pytest.raises(ValueError, match="position is None, expected one of"):
        stats.samples("positive", POINT)
    with pytest.raises(KeyError, match="position is 1, expected"):
        stats.samples("positive", POINT, 1)
    row = keys.index(synthetic.digest(5))
    np.testing.assert_array_equal(stats.samples("positive", POINT, "p1")[row], CLASSES[0][5, 1])


def test_no_order_of_samples_changes_a_figure_by_more_than_rounding(stats: Statistics) -> None:
    random = np.random.default_rng(0)
    for _ in range(3):
        order = random.permutation(90 + 71).tolist()
        other = synthetic.statistics(CLASSES, order=order)
        agree(stats, other)


def test_merging_in_any_order_gives_the_same(stats: Statistics) -> None:
    parts = [
        synthetic.statistics([x[:, :] for x in (CLASSES[0][a:b], CLASSES[1][a:b])], first=start)
        for a, b, start in ((0, 20, 0), (20, 51, 1000), (51, 71, 2000))
    ]
    rest = synthetic.statistics([CLASSES[0][71:], CLASSES[1][:0]], first=3000)
    for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)):
        every = [*parts, rest]
        merged = every[order[0]]
        for index in order[1:]:
            merged = merged.merge(every[index])
        agree(stats, merged, keys=False)
    assert parts[0].n("positive").tolist() == [20, 20]


def agree(one: Statistics, other: Statistics, keys: bool = True) -> None:
    for name in one.classes:
        for method in ("mean", "variance", "covariance", "second_moment"):
            a, b = (getattr(s, method)(name, POINT) for s in (one, other))
            assert (a - b).abs().max() <= 1e-12 * max(1.0, float(a.abs().max()))
        for measure, a in one.norms(name, POINT).items():
            assert (a - other.norms(name, POINT)[measure]).abs().max() <= 1e-12 * a.abs().max()
        for q in (0.0, 0.5, 0.8):
            assert same(one.quantile(name, POINT, q), other.quantile(name, POINT, q))
        assert same(one.extremes(name, POINT).values, other.extremes(name, POINT).values)
        assert same(one.histogram(name, POINT)[0], other.histogram(name, POINT)[0])
        if keys:
            assert same(one.extremes(name, POINT).keys, other.extremes(name, POINT).keys)
            a, b = (torch.sort(s.samples(name, POINT, "p0"), 0).values for s in (one, other))
            assert same(a, b)


def test_everything_is_saved_bit_for_bit(stats: Statistics, tmp_path: Path) -> None:
    stats.save(tmp_path / "stats.safetensors")
    again = Statistics.load(tmp_path / "stats.safetensors")
    assert again.what == EVERY
    assert list(again.parts) == list(stats.parts)
    for kind, points in stats.parts.items():
        for point, part in points.items():
            mine, theirs = part.state(), again.parts[kind][point].state()
            assert mine.keys() == theirs.keys()
            assert all(same(mine[name], theirs[name]) for name in mine), kind


def test_what_was_not_kept_is_named() -> None:
    stats = synthetic.statistics(CLASSES, ("mean",))
    questions = {
        "covariance": lambda: stats.covariance("positive", POINT),
        "norms": lambda: stats.norms("positive", POINT),
        "extremes": lambda: stats.extremes("positive", POINT),
        "quantiles": lambda: stats.quantile("positive", POINT, 0.5),
        "histogram": lambda: stats.histogram("positive", POINT),
        "samples": lambda: stats.samples("positive", POINT),
    }
    for name, ask in questions.items():
        with pytest.raises(ValueError, match=f"expected '{name}' among"):
            ask()
