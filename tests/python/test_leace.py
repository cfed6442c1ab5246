"""Concept erasure: what it promises, and against concept-erasure where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import embedded
import lenswright as lw
import synthetic
from synthetic import POINT

CLASSES = synthetic.data(n=(50, 80), d=9, seed=11)


def rows(position: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """All samples [n, d] and their class [n]."""
    x = torch.from_numpy(np.concatenate([c[:, position] for c in CLASSES]))
    return x, torch.cat([torch.ones(50), torch.zeros(80)]).double()


def cross(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(0)).t() @ (z - z.mean()) / len(x)


@pytest.mark.parametrize("method", ["leace", "binary_leace"])
@pytest.mark.parametrize("covariance", ["full", "shrinkage", "ledoit_wolf", "diagonal", 0.5])
def test_no_linear_trace_of_the_class_is_left(method: str, covariance: Any) -> None:
    found = getattr(lw.directions, method)(synthetic.statistics(CLASSES), covariance)
    erase = found.erasure(POINT, "p0")
    x, z = rows()
    assert cross(x, z).abs().max() > 0.1
    assert cross(erase(x), z).abs().max() < 1e-12 * x.abs().max()
    # What it leaves has equal class means, so that no affine probe does better than chance.
    means = erase(x)[z == 1].mean(0) - erase(x)[z == 0].mean(0)
    assert means.abs().max() < 1e-11 * x.abs().max()
    again = erase(erase(x))
    torch.testing.assert_close(again, erase(x), rtol=0, atol=1e-10)
    matrix = erase.matrix()
    torch.testing.assert_close(matrix @ matrix, matrix, rtol=0, atol=1e-10)
    torch.testing.assert_close(erase(x), (x - erase.centre) @ matrix.t() + erase.centre)
    torch.testing.assert_close(erase.centre, x.mean(0), rtol=1e-12, atol=1e-12)


def test_it_projects_orthogonally_in_the_whitened_space() -> None:
    erase = lw.directions.leace(synthetic.statistics(CLASSES)).erasure(POINT, "p0")
    x, _ = rows()
    covariance = torch.cov(x.t(), correction=0)
    values, vectors = torch.linalg.eigh(covariance)
    w = vectors @ torch.diag(values**-0.5) @ vectors.t()
    inner = w @ erase.matrix() @ torch.linalg.inv(w)
    torch.testing.assert_close(inner, inner.t(), rtol=0, atol=1e-9)


def test_no_other_projection_that_erases_changes_less() -> None:
    stats = synthetic.statistics(CLASSES)
    erase = lw.directions.leace(stats).erasure(POINT, "p0")
    x, z = rows()
    least = (erase(x) - x).square().sum()
    random = torch.Generator().manual_seed(0)
    for _ in range(100):
        read = erase.read + 0.05 * torch.randn(erase.read.shape, generator=random).double()
        read = read / (read @ erase.write.t())
        other = lw.directions.Erasure(read, erase.write, erase.centre)
        assert cross(other(x), z).abs().max() < 1e-9
        assert (other(x) - x).square().sum() >= least
    plain = lw.directions.difference_of_means(stats).vector(POINT, "p0")
    orthogonal = lw.directions.Erasure(plain[None], plain[None], erase.centre)
    assert (orthogonal(x) - x).square().sum() > least


def test_both_forms_are_one_projection() -> None:
    stats = synthetic.statistics(CLASSES)
    for kind in ("full", 0.3):
        one, other = (
            getattr(lw.directions, name)(stats, kind).erasure(POINT, "p1")
            for name in ("leace", "binary_leace")
        )
        torch.testing.assert_close(one.matrix(), other.matrix(), rtol=0, atol=1e-9)


def test_more_coordinates_than_samples() -> None:
    few = synthetic.data(n=(9, 11), d=40, seed=2)
    erase = lw.directions.leace(synthetic.statistics(few)).erasure(POINT, "p0")
    x = torch.from_numpy(np.concatenate([c[:, 0] for c in few]))
    z = torch.cat([torch.ones(9), torch.zeros(11)]).double()
    assert cross(erase(x), z).abs().max() < 1e-9 * x.abs().max()
    # What no sample reached passes unchanged.
    basis = torch.linalg.svd(x - x.mean(0)).Vh[19:]
    moved = erase(erase.centre + basis) - erase.centre
    torch.testing.assert_close(moved, basis, rtol=0, atol=1e-8)


def test_any_concept_of_several_classes() -> None:
    random = np.random.default_rng(5)
    classes = np.arange(90) % 3
    x = torch.from_numpy(random.normal(size=(90, 6)) + random.normal(size=(3, 6))[classes])
    z = torch.nn.functional.one_hot(torch.from_numpy(classes)).double()
    erase = lw.directions.erasure_of(x, z)
    assert erase.read.shape == (2, 6)
    left = (erase(x) - erase.centre).t() @ (z - z.mean(0)) / 90
    assert left.abs().max() < 1e-12
    with pytest.raises(ValueError, match=r"x is \[90, 6\], z \[3\]"):
        lw.directions.erasure_of(x, torch.zeros(3))


@pytest.mark.parametrize("covariance", ["full", "shrinkage"])
def test_as_an_edit_it_holds_what_is_read_at_the_mean(covariance: str) -> None:
    model, point = embedded.model(dtype="float64"), "blocks.2.hook_resid_pre"
    splits = embedded.splits()
    what = ("mean", "variance", "covariance", "samples")
    stats = model.collect(splits.fit, positions="last", what=what)
    erase = lw.directions.leace(stats, covariance).erasure(point, -1)
    edit = lw.edits.leace(model, erase.write, erase.read, erase.centre)

    def read() -> torch.Tensor:
        seen = model.collect(splits.fit, points=point, positions="last", what=("mean", "samples"))
        x = torch.cat([seen.samples(name, point) for name in ("positive", "negative")])
        return (x - erase.centre) @ erase.read.t()

    assert read().abs().max() > 0.1
    with model.edited(edit):
        assert read().abs().max() < 1e-12


def test_it_is_that_of_concept_erasure() -> None:
    import concept_erasure as peer

    x, z = rows()
    fitter = peer.LeaceFitter(9, 1, dtype=torch.float64, shrinkage=False, constrain_cov_trace=False)
    fitter.update(x, z[:, None])
    theirs = fitter.eraser(x)
    ours = lw.directions.leace(synthetic.statistics(CLASSES)).erasure(POINT, "p0")(x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
