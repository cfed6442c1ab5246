"""What is made of directions: projections, layers between layers, channels, heads, geometry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import synthetic
from lenswright.collecting.statistics import Statistics
from lenswright.estimators.found import Directions
from lenswright.estimators.geometry import silhouette
from synthetic import OTHER, POINT

CLASSES = synthetic.data(n=(30, 34), seed=12)


@pytest.fixture(scope="module")
def stats() -> Statistics:
    first = synthetic.statistics(CLASSES, points=(POINT,))
    other = synthetic.statistics(synthetic.data(n=(30, 34), seed=13), points=(OTHER,))
    kinds = [kind for kind in first.parts if kind != "moments"]
    parts = {kind: first.parts[kind] | other.parts[kind] for kind in kinds}
    moments = first.moments | other.moments
    shapes = first.shapes | other.shapes
    return Statistics(
        moments, shapes, first.positions, first.offsets, first.what, first.provenance, parts
    )


@pytest.fixture(scope="module")
def found(stats: Statistics) -> Directions:
    return lw.directions.difference_of_means(stats)


def test_projected_directions_lie_across_the_mean(stats: Statistics, found: Directions) -> None:
    made = lw.directions.projected(found, stats)
    for point in (POINT, OTHER):
        for index, label in enumerate(found.positions):
            mean = stats.mean("negative", point)[index]
            r, v = found.raw(point, label), made.vector(point, label)
            assert abs(float(v @ mean)) < 1e-14 * float(mean.norm())
            expected = r - mean * (r @ mean) / (mean @ mean)
            torch.testing.assert_close(made.raw(point, label), expected, rtol=1e-10, atol=1e-12)
            kept = made.found[point].more["kept"][index]
            assert float(kept) == pytest.approx(float(expected.norm() / r.norm()))
    assert made.provenance["projected"] == [{"against": "negative"}]
    other = lw.directions.projected(found, stats, "positive")
    assert abs(float(other.vector(POINT, "p0") @ stats.mean("positive", POINT)[0])) < 1e-13


def test_biprojected_directions_lie_across_the_mean_of_each_layer(
    stats: Statistics, found: Directions
) -> None:
    made = lw.directions.biprojected(found, stats, POINT, "p1")
    assert made.positions == ("p1",)
    measured = stats.mean("negative", POINT)[1]
    r = found.raw(POINT, "p1")
    r = r - measured * (r @ measured) / (measured @ measured)
    for point in (POINT, OTHER):
        mean = stats.mean("negative", point)[1]
        v = r - mean * (r @ mean) / (mean @ mean)
        torch.testing.assert_close(made.vector(point, "p1"), v / v.norm(), rtol=0, atol=1e-12)
        assert abs(float(made.vector(point, "p1") @ mean)) < 1e-13 * float(mean.norm())


def test_layers_between_layers(found: Directions) -> None:
    one, two = found.vector(POINT, "p0"), found.vector(OTHER, "p0")
    mixed = 0.75 * one + 0.25 * two
    got = found.interpolated(1.25, "p0")
    torch.testing.assert_close(got, mixed / mixed.norm(), rtol=0, atol=1e-14)
    assert torch.equal(found.interpolated(2, "p0", "resid_pre"), two)
    assert list(found.per_layer("p1")) == [1, 2]
    assert torch.equal(found.per_layer(-1)[2], found.vector(OTHER, -1))
    with pytest.raises(IndexError, match="needs layer 3"):
        found.interpolated(2.5, "p0")
    with pytest.raises(ValueError, match="site is 'resid_post'"):
        found.per_layer("p0", "resid_post")


def test_massive_channels_are_found_excluded_and_clipped() -> None:
    classes = [x.copy() / 10 for x in CLASSES]
    classes[1][:, :, 4] += 5000.0
    classes[0][3, 1, 2] = -3000.0  # one token of one prompt
    stats = synthetic.statistics(classes)
    massive = lw.directions.massive_channels(stats)
    rows = {row["channel"]: row for row in massive.rows}
    assert sorted(rows) == [2, 4]
    assert massive.channels(POINT) == [2, 4]
    assert rows[2]["peak"] == 3000
    assert rows[2]["digest"] == synthetic.digest(3)
    assert rows[2]["place"] == 1
    flat = np.concatenate([c.reshape(-1, 7) for c in classes])
    typical = np.sort(np.sqrt((flat**2).mean(0)))[3]
    assert rows[4]["ratio"] == pytest.approx(np.abs(flat[:, 4]).max() / typical)
    found = lw.directions.difference_of_means(stats)
    assert abs(float(found.vector(POINT, "p0")[4])) > 0.999
    without = massive.excluded(found)
    assert without.vector(POINT, "p0")[[2, 4]].abs().max() == 0
    assert float(without.vector(POINT, "p0").norm()) == pytest.approx(1)
    clipped = massive.clipped(found).raw(POINT, "p0")
    others = [i for i in range(7) if i not in (2, 4)]
    assert float(clipped.abs().max()) == float(found.raw(POINT, "p0")[others].abs().max())
    assert without.provenance["excluded"] == {POINT: [2, 4]}
    assert "2 at 1 points" in repr(massive)
    calm = lw.directions.massive_channels(synthetic.statistics(CLASSES))
    assert calm.rows == []
    assert torch.equal(calm.excluded(found).vector(POINT, "p0"), found.vector(POINT, "p0"))


def shaped(heads: int, width: int) -> Statistics:
    flat = synthetic.statistics(synthetic.data(n=(30, 34), d=heads * width, seed=14))
    return Statistics(
        flat.moments, {POINT: (heads, width)}, flat.positions, flat.offsets, flat.what,
        flat.provenance, {k: v for k, v in flat.parts.items() if k != "moments"},
    )  # fmt: skip


def test_heads_are_points_of_their_own() -> None:
    whole = shaped(3, 4)
    single = lw.directions.heads(whole)
    assert single.points == tuple(f"{POINT}.{head}" for head in range(3))
    for method in (lw.directions.difference_of_means, lw.directions.lda, lw.directions.logistic):
        found = method(single)
        assert found.vector(f"{POINT}.2", "p1").shape == (4,)
    means = lw.directions.difference_of_means(whole).raw(POINT, "p1")
    parts = lw.directions.difference_of_means(single)
    for head in range(3):
        torch.testing.assert_close(parts.raw(f"{POINT}.{head}", "p1"), means[head])
    assert parts.table()[0]["layer"] == 1
    assert lw.directions.heads(whole, {POINT: [1]}).points == (f"{POINT}.1",)
    with pytest.raises(IndexError, match="head 3"):
        lw.directions.heads(whole, {POINT: [3]})
    with pytest.raises(ValueError, match="expected \\[heads, d_head\\]"):
        lw.directions.heads(synthetic.statistics(CLASSES))


def test_neurons_are_ranked_by_what_they_tell(stats: Statistics) -> None:
    rows = lw.directions.neurons(stats, "p1", n=5)
    every = []
    for point, classes in ((POINT, CLASSES), (OTHER, synthetic.data(n=(30, 34), seed=13))):
        plus, minus = (x[:, 1] for x in classes)
        variances = plus.var(0, ddof=1), minus.var(0, ddof=1)
        away = plus.mean(0) - minus.mean(0)
        apart = away / np.sqrt(sum(variances) / 2)
        t = away / np.sqrt(variances[0] / 30 + variances[1] / 34)
        every += [(abs(a), a, b, point, i) for i, (a, b) in enumerate(zip(apart, t, strict=True))]
    every.sort(reverse=True)
    for row, (_, apart, t, point, index) in zip(rows, every, strict=False):
        assert (row["point"], row["index"]) == (point, index)
        assert row["separation"] == pytest.approx(apart)
        assert row["t"] == pytest.approx(t)


def test_the_geometry_table_is_numpys(stats: Statistics, found: Directions) -> None:
    methods = {"means": found, "lda": lw.directions.lda(stats), "pca": lw.directions.pca(stats)}
    shape = lw.directions.geometry(methods, stats)
    rows = shape.table()
    assert len(rows) == 4
    g, b = (CLASSES[i][:, 1].mean(0) for i in (1, 0))
    r, w = b - g, methods["lda"].vector(POINT, "p1").numpy()
    row = next(x for x in rows if x["point"] == POINT and x["position"] == "p1")

    def cos(x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    expected = {
        "|g|": np.linalg.norm(g), "|b|": np.linalg.norm(b), "|r|": np.linalg.norm(r),
        "S(g, b)": cos(g, b), "S(g, r)": cos(g, r), "S(b, r)": cos(b, r), "S(r, lda)": cos(r, w),
        "silhouette": by_hand(CLASSES[0][:, 1], CLASSES[1][:, 1]),
    }  # fmt: skip
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name
    layers = shape.between_layers("p0", "pca")
    units = [methods["pca"].vector(p, "p0") for p in (POINT, OTHER)]
    assert float(layers[0, 1]) == pytest.approx(float(units[0] @ units[1]))
    between = shape.between_methods(POINT, "p0")
    assert between.shape == (3, 3)
    assert shape.angles(between).diagonal().abs().max() < 1e-5
    assert float(shape.angles(torch.tensor(-1.0))) == pytest.approx(180)
    assert shape.plot("p0").svg.startswith("<svg")
    assert shape.plot_methods("p0").svg.startswith("<svg")
    assert "<svg" in shape._repr_html_()
    with pytest.raises(ValueError, match="one entry only"):
        lw.directions.geometry(found).plot_methods("p0")
    with pytest.raises(KeyError, match="method is 'svd'"):
        shape.table("svd")
    with pytest.raises(ValueError, match="of other points"):
        lw.directions.geometry({"a": found, "b": found.only(POINT, "p0")})


def by_hand(plus: np.ndarray, minus: np.ndarray) -> float:
    """The mean silhouette, sample by sample."""
    scores = []
    for own, other in ((plus, minus), (minus, plus)):
        for i, x in enumerate(own):
            near = [np.linalg.norm(x - y) for j, y in enumerate(own) if j != i]
            a, b = np.mean(near), np.mean([np.linalg.norm(x - y) for y in other])
            scores.append((b - a) / max(a, b))
    return float(np.mean(scores))


def test_a_silhouette_needs_two_samples() -> None:
    assert math.isnan(silhouette(torch.zeros(1, 3), torch.zeros(5, 3)))
    apart = silhouette(torch.zeros(4, 3).double(), torch.full((5, 3), 9.0).double())
    assert apart == 1


def test_pictures_and_words_say_what_they_are(stats: Statistics, found: Directions) -> None:
    assert "Geometry(['difference_of_means'] at 2 points x 2 positions)" in repr(
        lw.directions.geometry(found)
    )
    made: Any = lw.directions.pca(stats)
    assert "separation" in repr(made)
    assert made.table()[0]["split_cosine"] is not None
