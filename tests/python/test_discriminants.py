"""Discriminants and mass-mean probes against plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import synthetic
from lenswright import _core
from synthetic import POINT


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def within(plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    both = np.concatenate([plus - plus.mean(0), minus - minus.mean(0)])
    return both.T @ both / (len(both) - 2)


@pytest.mark.parametrize("covariance", ["full", "diagonal", "shrinkage", "ledoit_wolf", 0.3])
def test_discriminants_are_numpys(covariance: Any) -> None:
    classes = synthetic.data(n=(40, 30), seed=6)
    found = lw.directions.lda(synthetic.statistics(classes), covariance)
    plus, minus = (x[:, 0] for x in classes)
    s, delta = within(plus, minus), plus.mean(0) - minus.mean(0)
    n, p, trace = 68, 7, np.trace(s)
    share = {"full": 0.0, "diagonal": 0.0}.get(covariance, covariance)
    if covariance == "shrinkage":
        square = (s * s).sum()
        top = (1 - 2 / p) * square + trace**2
        share = min(1.0, top / ((n + 1 - 2 / p) * (square - trace**2 / p)))
    elif covariance == "ledoit_wolf":
        share = ledoit_wolf(np.concatenate([plus - plus.mean(0), minus - minus.mean(0)]))
    if covariance == "diagonal":
        s = np.diag(np.diag(s))
    weight = np.linalg.solve((1 - share) * s + share * trace / p * np.eye(p), delta)
    more = found.found[POINT].more
    np.testing.assert_allclose(more["shrinkage"][0], share, rtol=1e-10)
    np.testing.assert_allclose(more["weight"][0], weight, rtol=1e-8)
    middle = (plus.mean(0) + minus.mean(0)) / 2
    np.testing.assert_allclose(more["bias"][0], -weight @ middle, rtol=1e-8)
    np.testing.assert_allclose(found.vector(POINT, "p0"), unit(weight), rtol=1e-8)
    mass = lw.directions.mass_mean(synthetic.statistics(classes), covariance)
    np.testing.assert_allclose(mass.raw(POINT, "p0"), delta, rtol=1e-10)
    torch.testing.assert_close(mass.found[POINT].more["weight"], more["weight"])


def ledoit_wolf(x: np.ndarray) -> float:
    """Their share, straight from the definition: one outer product a sample."""
    n, p = x.shape
    s = x.T @ x / n
    m = np.trace(s) / p
    d2 = ((s - m * np.eye(p)) ** 2).sum() / p
    b2 = sum(((np.outer(row, row) - s) ** 2).sum() / p for row in x) / n**2
    return float(min(b2, d2) / d2)


def test_ledoit_wolf_of_more_coordinates_than_samples() -> None:
    x = np.random.default_rng(0).normal(size=(8, 30))
    assert _core.ledoit_wolf_share(torch.from_numpy(x)) == pytest.approx(ledoit_wolf(x), rel=1e-10)


def test_discriminants_say_the_same_in_other_coordinates() -> None:
    classes = synthetic.data(n=(40, 30), seed=7)
    random = np.random.default_rng(8)
    a, b = random.normal(size=(7, 7)), random.normal(size=7)
    moved = [x @ a.T + b for x in classes]
    here, there = (
        lw.directions.lda(synthetic.statistics(c), "full").found[POINT] for c in (classes, moved)
    )
    said = [
        x[:, 0] @ found.more["weight"][0].numpy() + float(found.more["bias"][0])
        for x, found in ((classes[0], here), (moved[0], there))
    ]
    np.testing.assert_allclose(said[1], said[0], rtol=1e-7, atol=1e-9)
    assert float(here.separation[0]) == pytest.approx(float(there.separation[0]), rel=1e-9)
    # No direction tells the classes further apart on the samples themselves.
    spread = within(*(x[:, 0] for x in classes))
    delta = classes[0][:, 0].mean(0) - classes[1][:, 0].mean(0)
    best = here.unit[0].numpy()
    reached = (best @ delta) ** 2 / (best @ spread @ best)
    for other in random.normal(size=(200, 7)):
        assert (other @ delta) ** 2 / (other @ spread @ other) <= reached * (1 + 1e-12)
