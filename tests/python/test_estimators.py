"""Estimators of directions against plain numpy, and what each promises."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import synthetic
from lenswright.estimators.found import Directions
from lenswright.estimators.registry import METHODS
from support import same
from synthetic import OTHER, POINT

SETTINGS: dict[str, dict[str, Any]] = {
    "difference_of_means": {}, "paired": {}, "pca": {"k": 3}, "lda": {}, "mass_mean": {},
    "leace": {}, "binary_leace": {}, "subspace": {"k": 2}, "logistic": {}, "inlp": {"k": 2},
    "som": {"rows": 1, "columns": 3, "steps": 200},
}  # fmt: skip
PAIRED = synthetic.data(n=(20, 20), seed=4)


def make(name: str, stats: Any) -> Directions:
    found: Directions = getattr(lw.directions, name)(stats, **SETTINGS[name])
    return found


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_gives_directions_that_can_be_used_and_kept(name: str, tmp_path: Path) -> None:
    stats = synthetic.statistics(PAIRED, pairs=True, points=(POINT, OTHER))
    found = make(name, stats)
    one = found.found[POINT]
    assert one.unit.shape == one.raw.shape == (2, 7)
    assert torch.allclose(one.unit.norm(dim=1), torch.ones(2, dtype=torch.float64), atol=1e-12)
    delta = stats.mean("positive", POINT) - stats.mean("negative", POINT)
    assert ((one.unit * delta).sum(1) > 0).all()  # towards the positive class
    torch.testing.assert_close(one.raw, one.unit * one.norm[:, None], rtol=0, atol=1e-12)
    along = (one.unit * delta).sum(1)
    torch.testing.assert_close(one.norm, along, rtol=1e-10, atol=1e-12)
    assert (one.separation > 0).all()
    assert (one.split_cosine.abs() <= 1 + 1e-12).all()
    assert found.provenance["method"] == name
    assert found.provenance["classes"] == ["positive", "negative"]
    found.save(tmp_path / "found.safetensors")
    again = Directions.load(tmp_path / "found.safetensors")
    for point in (POINT, OTHER):
        mine, theirs = found.found[point].tensors(), again.found[point].tensors()
        assert mine.keys() == theirs.keys()
        assert all(same(mine[key], theirs[key]) for key in mine)
    assert again.provenance == found.provenance
    single = found.only(POINT, "p1")
    assert same(single.vector(POINT, "p1"), found.vector(POINT, "p1"))
    assert same(make(name, stats).found[POINT].raw, one.raw)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_classes_that_do_not_differ_have_no_direction(name: str) -> None:
    constant = [np.tile(PAIRED[0][:1], (20, 1, 1))] * 2
    found = make(name, synthetic.statistics(constant, pairs=True)).found[POINT]
    assert found.unit.abs().max() == 0
    assert found.norm.abs().max() == 0
    assert math.isnan(found.split_cosine[0])


def test_paired_differences_are_numpys_and_leave_out_what_pairs_share() -> None:
    random = np.random.default_rng(1)
    topic = random.normal(size=(30, 1, 7)) * 10
    noise = [random.normal(size=(30, 1, 7)) for _ in range(2)]
    classes = [topic + noise[0] + 1.0, topic + noise[1]]
    stats = synthetic.statistics(classes, pairs=True)
    found = lw.directions.paired(stats)
    differences = (classes[0] - classes[1])[:, 0]
    np.testing.assert_allclose(found.raw(POINT, 0 - 1), differences.mean(0), rtol=1e-11)
    error = np.sqrt(differences.var(0, ddof=1).sum() / 30)
    one = found.found[POINT]
    np.testing.assert_allclose(one.standard_error[0], error, rtol=1e-11)
    agreeing = (differences @ differences.mean(0) > 0).mean()
    assert float(one.more["agreeing"][0]) == agreeing
    plain = lw.directions.difference_of_means(stats).found[POINT]
    torch.testing.assert_close(one.raw, plain.raw, rtol=1e-10, atol=1e-12)
    assert plain.standard_error[0] > 5 * one.standard_error[0]
    with pytest.raises(ValueError, match="prompts without pairs"):
        lw.directions.paired(synthetic.statistics(classes))
    with pytest.raises(ValueError, match="have one class only"):
        lw.directions.paired(synthetic.statistics([classes[0], classes[1][:28]], pairs=True))


@pytest.mark.parametrize("centre", ["midpoint", "none", "pairs"])
def test_principal_directions_are_numpys(centre: Any) -> None:
    stats = synthetic.statistics(PAIRED, pairs=True)
    found = lw.directions.pca(stats, k=2, centre=centre)
    plus, minus = (x[:, 1] for x in PAIRED)
    middle = (plus.mean(0) + minus.mean(0)) / 2 if centre == "midpoint" else 0
    if centre == "pairs":
        moment = (plus - minus).T @ (plus - minus) / 20
    else:
        moment = sum((x - middle).T @ (x - middle) / len(x) for x in (plus, minus)) / 2
    values, vectors = np.linalg.eigh(moment)
    basis = found.subspace(POINT, "p1").numpy()
    for index in range(2):
        expected = vectors[:, -1 - index]
        sign = np.sign(expected @ (plus.mean(0) - minus.mean(0)))
        np.testing.assert_allclose(basis[index], expected * sign, rtol=0, atol=1e-8)
    got = found.found[POINT].more["values"][1]
    np.testing.assert_allclose(got, values[::-1][:2], rtol=1e-10)


def test_centring_differences_would_lose_what_is_looked_for() -> None:
    random = np.random.default_rng(2)
    base = random.normal(size=(200, 1, 9))
    away = np.zeros(9)
    away[3] = 8.0
    classes = [base + away, base + random.normal(size=base.shape) * 0.1]
    stats = synthetic.statistics(classes, pairs=True)
    for centre in ("midpoint", "pairs"):
        found = lw.directions.pca(stats, centre=centre)  # type: ignore[arg-type]
        assert float(found.vector(POINT, "p0")[3]) > 0.99
    differences = (classes[0] - classes[1])[:, 0]
    centred = differences - differences.mean(0)
    assert abs(np.linalg.svd(centred)[2][0][3]) < 0.9


@pytest.mark.parametrize("of", ["classes", "pairs"])
def test_subspaces_are_numpys_singular_vectors(of: Any) -> None:
    found = lw.directions.subspace(synthetic.statistics(PAIRED, pairs=True), 3, of)
    plus, minus = (x[:, 0] for x in PAIRED)
    rows = plus - minus if of == "pairs" else plus - minus.mean(0)
    _, values, vectors = np.linalg.svd(rows)
    basis = found.subspace(POINT, "p0").numpy()
    cosines = (basis * vectors[:3]).sum(1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.found[POINT].more["values"][0], values[:3] ** 2 / 20)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), rtol=0, atol=1e-12)


def test_null_spaces_leave_nothing_linear_to_find() -> None:
    classes = synthetic.data(n=(60, 60), d=5, seed=9)
    found = lw.directions.inlp(synthetic.statistics(classes), k=4, strength=100.0)
    basis = found.subspace(POINT, "p0")
    np.testing.assert_allclose(basis @ basis.t(), np.eye(4), rtol=0, atol=1e-12)
    accuracy = found.found[POINT].more["accuracy"][0]
    assert accuracy[0] > 0.9
    assert accuracy[3] < 0.75


def test_maps_find_the_clusters_of_one_class() -> None:
    random = np.random.default_rng(3)
    centres = np.eye(7)[:2] * 12
    plus = centres[np.arange(40) % 2][:, None] + random.normal(size=(40, 1, 7)) * 0.3
    stats = synthetic.statistics([plus, random.normal(size=(30, 1, 7)) * 0.3])
    found = lw.directions.som(stats, 1, 4, 3000, 0.2, seed=1).found[POINT]
    cosines = found.more["neurons"][0].numpy() @ np.eye(7)[:2].T
    assert (cosines.max(0) > 0.99).all()
    assert float(found.more["share"].sum()) == pytest.approx(1)
    basis = lw.directions.orthonormal(found.more["neurons"][0, :2])
    assert torch.allclose(basis @ basis.t(), torch.eye(2, dtype=torch.float64), atol=1e-12)


def test_moments_alone_serve_the_methods_that_need_no_more() -> None:
    classes = synthetic.data(n=(40, 30), seed=6)
    whole = synthetic.statistics(classes)
    streamed = synthetic.statistics(classes, ("mean", "variance", "covariance"))
    samples = synthetic.statistics(classes, ("mean", "variance", "samples"))
    for name in ("pca", "lda", "mass_mean", "leace", "binary_leace", "subspace"):
        expected = make(name, whole).found[POINT]
        for stats in (streamed, samples):
            found = make(name, stats).found[POINT]
            torch.testing.assert_close(found.raw, expected.raw, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(
                found.standard_error, expected.standard_error, rtol=1e-6, atol=1e-9
            )
            torch.testing.assert_close(found.separation, expected.separation, rtol=1e-9, atol=0)
    with pytest.raises(ValueError, match="expected 'covariance' among them"):
        lw.directions.lda(synthetic.statistics(classes, ("mean", "variance")))
    with pytest.raises(ValueError, match="expected 'samples' among them"):
        lw.directions.logistic(streamed)


def test_the_error_of_halves_is_the_distance_from_the_truth() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=25)
    ratios = []
    for _ in range(60):
        classes = [random.normal(size=(60, 1, 25)) + (truth if plus else 0) for plus in (1, 0)]
        stats = synthetic.statistics(classes, ("mean", "variance", "covariance"))
        found = lw.directions.mass_mean(stats).found[POINT]
        distance = float((found.raw[0] - torch.from_numpy(truth)).norm())
        ratios.append((distance / float(found.standard_error)) ** 2)
    # Ratios of two chi-squares of 25 degrees: mean 25 / 23, spread about 0.45 each.
    assert abs(float(np.mean(ratios)) - 25 / 23) < 4 * 0.45 / math.sqrt(60)


def test_wrong_settings_are_named() -> None:
    stats = synthetic.statistics(PAIRED, pairs=True)
    d = lw.directions
    for call, message in (
        (lambda: d.pca(stats, centre="mean"), "centre is 'mean'"),  # type: ignore[arg-type]
        (lambda: d.pca(stats, k=0), "k is 0"),
        (lambda: d.pca(stats, k=8), "k is 8, expected 1 to 7"),
        (lambda: d.lda(stats, "oas"), "covariance is 'oas'"),
        (lambda: d.lda(stats, 1.5), r"covariance is 1\.5"),
        (lambda: d.subspace(stats, 2, "means"), "of is 'means'"),  # type: ignore[arg-type]
        (lambda: d.logistic(stats, 0.0), r"strength is 0\.0"),
        (lambda: d.inlp(stats, 0), "k is 0"),
        (lambda: d.som(stats, rows=0), "0 by 4 neurons"),
        (lambda: d.subspace(stats, 30, "pairs"), "expected at least 30 for subspace"),
        (lambda: d.pca(stats).erasure(POINT, "p0"), "expected an erasure"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(KeyError, match="class is 'neutral'"):
        d.pca(stats, positive="neutral")
    with pytest.raises(ValueError, match="row 1 lies in the span"):
        d.orthonormal(torch.ones(2, 3))
