"""Directions refined by gradients, and cones whose directions act by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lenswright as lw
import wordy
from lenswright.estimators import refined as module
from lenswright.measuring.forcing import final_residual, log_probs
from lenswright.prompting.prompts import Prompt, PromptSet
from lenswright.tapped import new_taps

POINT = "blocks.1.hook_resid_pre"


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> lw.Model:
    folder = wordy.copy(tiny("llama-grouped"), tmp_path_factory.mktemp("refined") / "model")
    return lw.load(folder, dtype="float64")


@pytest.fixture(scope="module")
def fit() -> PromptSet:
    texts = wordy.sentences(16, seed=8)
    return PromptSet("fit", [Prompt(t, "w3 w4") for t in texts[:8]], [Prompt(t) for t in texts[8:]])


@pytest.fixture(scope="module")
def found(model: lw.Model, fit: PromptSet) -> lw.directions.Directions:
    return lw.directions.difference_of_means(model.collect(fit))


def task(model: lw.Model, fit: PromptSet, weights: tuple[float, float, float]) -> module._Task:
    return module._Task(
        model, POINT, 2.0, module._rows(model, fit.positive, None),
        module._rows(model, fit.negative, "w7 w8"), weights,
    )  # fmt: skip


def test_the_loss_is_its_three_parts_by_hand(model: lw.Model, fit: PromptSet) -> None:
    r = torch.nn.functional.normalize(torch.arange(1.0, 41).double() % 7 - 3, dim=0)
    picks = [[0, 3], [1, 2, 5]]
    edit = lw.edits.ablate(model, r)

    def forced(prompt: Prompt, words: str) -> float:
        ids, follow = wordy.chat_ids(prompt.text), wordy.ids(words)
        table = torch.log_softmax(model(torch.tensor([ids + follow[:-1]])).double(), -1)[0]
        places = range(len(ids) - 1, len(ids) - 1 + len(follow))
        return -float(
            torch.stack([table[p, t] for p, t in zip(places, follow, strict=True)]).mean()
        )

    with torch.no_grad():
        with model.edited(edit):
            answers = [forced(fit.positive[i], "w3 w4") for i in picks[0]]
            after = [model(wordy.chat_ids(fit.negative[i].text))[0, -1] for i in picks[1]]
        with model.hooks([(POINT, lambda x, hook: x + 2.0 * r)]):
            refusals = [forced(fit.negative[i], "w7 w8") for i in picks[1]]
        before = [model(wordy.chat_ids(fit.negative[i].text))[0, -1] for i in picks[1]]
    p, q = (torch.log_softmax(torch.stack(x).double(), -1) for x in (before, after))
    divergence = float((p.exp() * (p - q)).sum(-1).mean())
    expected = (sum(answers) / 2, sum(refusals) / 3, divergence)
    for index, value in enumerate(expected):
        weights = tuple(float(i == index) for i in range(3))
        got = task(model, fit, weights).loss(r, picks)  # type: ignore[arg-type]
        assert float(got) == pytest.approx(value, rel=1e-9)


def test_the_gradient_is_that_of_finite_differences(model: lw.Model, fit: PromptSet) -> None:
    r = torch.nn.functional.normalize(torch.arange(1.0, 41).double() % 5 - 2, dim=0)
    whole = task(model, fit, (1.0, 0.5, 2.0))
    picks = [[0, 3], [1, 2]]
    leaf = r.clone().requires_grad_()
    whole.loss(module._unit(leaf), picks).backward()
    assert leaf.grad is not None
    step = torch.randn(40, generator=torch.Generator().manual_seed(1)).double()
    sides = [float(whole.loss(module._unit(r + sign * 1e-6 * step), picks)) for sign in (1, -1)]
    assert float(leaf.grad @ step) == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5)


def test_refining_lowers_the_loss(
    model: lw.Model, fit: PromptSet, found: lw.directions.Directions
) -> None:
    made = lw.directions.refined(
        model, found, POINT, -1, fit, refusal="w7 w8", steps=12, rate=0.02, batch_size=8
    )
    losses = made.found[POINT].more["loss"][0]
    assert losses[-1] < losses[0]
    assert float(made.vector(POINT, -1).norm()) == pytest.approx(1)
    assert made.provenance["method"] == "refined"
    assert made.provenance["begun"] == "difference_of_means"
    again = lw.directions.refined(
        model, found, POINT, -1, fit, refusal="w7 w8", steps=12, rate=0.02, batch_size=8
    )
    assert torch.equal(again.vector(POINT, -1), made.vector(POINT, -1))


def test_a_cone_stays_orthonormal(
    model: lw.Model, fit: PromptSet, found: lw.directions.Directions
) -> None:
    made = lw.directions.refined(model, found, POINT, -1, fit, refusal="w7", k=3, steps=4)
    basis = made.subspace(POINT, -1)
    assert basis.shape == (3, 40)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.t(), eye, rtol=0, atol=1e-12)


def test_independence_is_measured_by_hand(model: lw.Model, fit: PromptSet) -> None:
    basis = lw.directions.orthonormal(
        torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    )
    got = lw.directions.independence(model, basis, fit.negative, "resid_post", batch_size=3)
    assert got.shape == (model.cfg.n_layers, 2, 2)
    name = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    ids = [wordy.chat_ids(p.text) for p in fit.negative]
    edit = lw.edits.ablate(model, basis[0])
    with torch.no_grad():
        before = [model.capture(row, name)[name][0, -1].double() for row in ids]
        with model.edited(edit):
            after = [model.capture(row, name)[name][0, -1].double() for row in ids]
    cosines = [torch.nn.functional.normalize(torch.stack(x), dim=1) @ basis.t()
               for x in (before, after)]  # fmt: skip
    expected = (cosines[0] - cosines[1]).abs().mean(0)
    torch.testing.assert_close(got[-1, 0], expected, rtol=1e-9, atol=1e-12)
    assert float(cosines[1][:, 0].abs().max()) < 1e-12  # nothing is left of what was ablated
    assert float(got[-1, 0, 1]) > 1e-3  # and yet the orthogonal one moved
    with pytest.raises(ValueError, match="directions has shape"):
        lw.directions.independence(model, basis[:, :5], fit.negative)


def test_wrong_arguments_are_named(
    model: lw.Model, fit: PromptSet, found: lw.directions.Directions
) -> None:
    bare = PromptSet("fit", fit.negative, fit.positive)
    with pytest.raises(ValueError, match="has no answer"):
        lw.directions.refined(model, found, POINT, -1, bare, refusal="w7")
    with pytest.raises(ValueError, match="k is 0"):
        lw.directions.refined(model, found, POINT, -1, fit, refusal="w7", k=0)
    with pytest.raises(ValueError, match="expected the 'fit' part"):
        lw.directions.refined(
            model, found, POINT, -1, PromptSet("test", fit.positive, fit.negative), refusal="w7"
        )
    rows = [wordy.chat_ids(p.text) for p in fit.positive[:2]]
    last = final_residual(model, new_taps(model, rows), rows)
    (part, table), *rest = log_probs(model, last[:, -1])
    assert not rest
    assert part == slice(0, 2)
    assert table.shape == (2, model.cfg.d_vocab)
