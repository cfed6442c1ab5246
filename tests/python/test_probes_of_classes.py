"""Logistic probes and discriminants against scikit-learn where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lenswright as lw
import synthetic
from lenswright import _core
from synthetic import POINT


def rows(classes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([c[:, 0] for c in classes])
    return x, np.concatenate([np.ones(len(classes[0])), np.zeros(len(classes[1]))])


def descended(x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """The same minimum by gradient descent with momentum: slow, nothing to share with Newton."""
    z = np.column_stack([x, np.ones(len(x))])
    ridge = np.append(np.ones(x.shape[1]), 0.0)
    bound = strength * np.linalg.norm(z, 2) ** 2 / 4 + 1
    w, before = np.zeros(x.shape[1] + 1), np.zeros(x.shape[1] + 1)
    for step in range(60000):
        ahead = w + (step / (step + 3)) * (w - before)
        p = 1 / (1 + np.exp(-(z @ ahead)))
        before, w = w, ahead - (ridge * ahead + strength * z.T @ (p - y)) / bound
    return w[:-1], float(w[-1])


@pytest.mark.parametrize(("d", "strength"), [(5, 1.0), (5, 0.01), (40, 0.1)])
def test_a_probe_is_the_minimum_of_its_loss(d: int, strength: float) -> None:
    classes = synthetic.data(n=(15, 14), d=d, seed=3, shift=0.2)
    scaled = [x / 4 for x in classes]
    x, y = rows(scaled)
    weight, bias = descended(x, y, strength)
    found = lw.directions.logistic(synthetic.statistics(scaled), strength).found[POINT].more
    np.testing.assert_allclose(found["weight"][0], weight, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["bias"][0], bias, rtol=0, atol=1e-5)


def test_held_out_is_what_each_half_says_of_the_other() -> None:
    classes = synthetic.data(n=(30, 24), d=5, seed=3, shift=0.4)
    found = lw.directions.logistic(synthetic.statistics(classes)).found[POINT].more
    scores = []
    for half in range(2):
        x, y = rows([c[half::2] for c in classes])
        weight, bias, _ = _core.logistic_probe(torch.from_numpy(x), torch.from_numpy(y), 1.0)
        x, y = rows([c[1 - half :: 2] for c in classes])
        said = x @ weight.numpy() + bias > 0
        scores.append((said[y == 1].mean() + (~said[y == 0]).mean()) / 2)
    assert float(found["held_out"][0]) == pytest.approx(np.mean(scores), abs=1e-12)


@pytest.mark.parametrize("d", [6, 60])
def test_a_probe_is_that_of_scikit_learn(d: int) -> None:
    from sklearn import linear_model as linear

    classes = synthetic.data(n=(25, 30), d=d, seed=5, shift=0.3)
    x, y = rows(classes)
    for strength in (0.1, 10.0):
        theirs = linear.LogisticRegression(C=strength, solver="newton-cg", tol=1e-12, max_iter=9999)
        theirs.fit(x, y)
        found = lw.directions.logistic(synthetic.statistics(classes), strength).found[POINT].more
        scale = np.abs(theirs.coef_).max()
        np.testing.assert_allclose(found["weight"][0], theirs.coef_[0], rtol=0, atol=1e-5 * scale)


def test_a_discriminant_is_that_of_scikit_learn() -> None:
    from sklearn import covariance
    from sklearn import discriminant_analysis as discriminant

    classes = synthetic.data(n=(40, 40), d=6, seed=5, shift=0.3)
    x, y = rows(classes)
    theirs = discriminant.LinearDiscriminantAnalysis(solver="eigen").fit(x, y)
    found = lw.directions.lda(synthetic.statistics(classes), "full")
    cosine = found.vector(POINT, "p0").numpy() @ theirs.coef_[0] / np.linalg.norm(theirs.coef_[0])
    assert cosine == pytest.approx(1, abs=1e-10)
    centred = np.concatenate([c[:, 0] - c[:, 0].mean(0) for c in classes])
    share = covariance.ledoit_wolf_shrinkage(centred, assume_centered=True)
    ours = lw.directions.lda(synthetic.statistics(classes), "ledoit_wolf")
    assert float(ours.found[POINT].more["shrinkage"][0]) == pytest.approx(share, rel=1e-10)
