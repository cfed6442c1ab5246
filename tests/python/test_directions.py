"""Difference of means against plain numpy, and against directions planted by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import lenswright as lw
import wordy
from lenswright import _core
from lenswright.collecting.statistics import Statistics, collect
from lenswright.directions import Directions, difference_of_means
from lenswright.prompting.prompts import Splits
from support import same

POINT = "blocks.1.hook_resid_pre"
COUNTS = {("positive", 0): 9, ("positive", 1): 8, ("negative", 0): 12, ("negative", 1): 13}


def samples(positions: int = 3, d: int = 17) -> dict[tuple[str, int], np.ndarray]:
    """Random activations [n, positions, d] of each class and half, correlated and off centre."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(d, d))
    return {
        key: random.normal(size=(n, positions, d)) @ mixing + random.normal(size=d) * 3
        for key, n in COUNTS.items()
    }


def statistics_of(
    data: dict[tuple[str, int], np.ndarray], what: tuple[str, ...] = ("mean", "variance")
) -> Statistics:
    positions, d = data["positive", 0].shape[1:]
    moments = _core.Moments(4 * positions, d)
    for group, values in enumerate(data.values()):
        for x in values:
            cells = group * positions + torch.arange(positions)
            moments.add(torch.from_numpy(x), cells)
    labels = [f"p{i}" for i in range(positions)]
    offsets = list(range(-positions, 0))
    provenance = {"model": {"name": "none", "n_layers": 2, "d_model": d}, "suffix": positions}
    return Statistics({POINT: moments}, {POINT: (d,)}, labels, offsets, what, provenance)


def test_every_number_is_numpys() -> None:
    data = samples()
    found = difference_of_means(statistics_of(data)).found[POINT]
    plus = np.concatenate([data["positive", 0], data["positive", 1]])
    minus = np.concatenate([data["negative", 0], data["negative", 1]])
    raw = plus.mean(0) - minus.mean(0)
    norm = np.linalg.norm(raw, axis=1)
    variance = plus.var(0, ddof=1), minus.var(0, ddof=1)
    error = np.sqrt((variance[0] / len(plus) + variance[1] / len(minus)).sum(1))
    unit = raw / norm[:, None]
    along = [(unit**2 * v).sum(1) for v in variance]
    halves = [data["positive", h].mean(0) - data["negative", h].mean(0) for h in range(2)]
    lengths = np.linalg.norm(halves[0], axis=1) * np.linalg.norm(halves[1], axis=1)
    expected = {
        "raw": raw,
        "unit": unit,
        "norm": norm,
        "standard_error": error,
        "relative_error": error / norm,
        "split_cosine": (halves[0] * halves[1]).sum(1) / lengths,
        "separation": norm / np.sqrt((along[0] + along[1]) / 2),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name).numpy(), value, rtol=1e-12, err_msg=name)


def test_swapping_the_classes_turns_the_direction_round() -> None:
    stats = statistics_of(samples())
    there, back = (
        difference_of_means(stats, *names)
        for names in (("positive", "negative"), ("negative", "positive"))
    )
    assert torch.equal(there.vector(POINT, "p1"), -back.vector(POINT, "p1"))
    assert back.provenance["classes"] == ["negative", "positive"]
    with pytest.raises(KeyError, match="class is 'neutral'"):
        difference_of_means(stats, "neutral")


def test_the_standard_error_is_the_distance_from_the_truth() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=25)
    ratios = []
    for _ in range(200):
        data = {
            key: random.normal(size=(n, 1, 25)) * 2 + (truth if key[0] == "positive" else 0)
            for key, n in COUNTS.items()
        }
        found = difference_of_means(statistics_of(data)).found[POINT]
        distance = np.linalg.norm(found.raw[0].numpy() - truth)
        ratios.append((distance / float(found.standard_error)) ** 2)
    # Mean of 200 chi-squares of 25 degrees of freedom over 25: four standard errors are 0.08.
    assert abs(float(np.mean(ratios)) - 1) < 0.08


def planted(tiny: Callable[..., Path], folder: Path) -> tuple[Path, torch.Tensor]:
    """A model where the words w0 .. w44 carry a direction in their embedding, the others do not."""
    u = torch.randn(30, generator=torch.Generator().manual_seed(5))
    u /= u.norm()

    def plant(tensors: dict[str, torch.Tensor]) -> None:
        table = tensors["model.embed_tokens.weight"]
        table[:] = 0.2 * table
        rows = wordy.ids(" ".join(wordy.WORDS[:45]))
        table[rows] += 3 * u

    return wordy.copy(tiny("llama"), folder, change=plant), u.double()


def last_word_splits() -> Splits:
    """Prompts that end in a word with the direction, or in one without."""
    classes = [
        [f"{first} {word}" for word in words for first in ("w3", "w77")]
        for words in (wordy.WORDS[:45], wordy.WORDS[45:])
    ]
    return Splits.from_rows(*classes)


def test_a_planted_direction_is_found_as_surely_as_is_said(
    tiny: Callable[..., Path], tmp_path: Path
) -> None:
    folder, u = planted(tiny, tmp_path / "planted")
    stats = collect(lw.load(folder), last_word_splits().fit, positions=[-3, -2])
    found = difference_of_means(stats)
    point = "blocks.0.hook_resid_pre"
    assert float(found.vector(point, -3) @ u) > 0.98
    truth = 3.0  # the length of what was planted
    distance = float((found.raw(point, -3) - truth * u).norm())
    row = found.table()[0]
    assert 0.4 < distance / row["standard_error"] < 1.6
    assert row["split_cosine"] > 0.95
    assert row["separation"] > 10
    # The template's own tokens are the same in both classes: nothing differs there.
    assert found.found[point].norm[1] == 0
    assert found.found[point].unit[1].abs().max() == 0
    assert math.isnan(found.found[point].split_cosine[1])


def test_tables_measures_and_pictures(tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder, _ = planted(tiny, tmp_path / "planted")
    found = difference_of_means(collect(lw.load(folder), last_word_splits().fit))
    table = found.table()
    assert len(table) == 3 * 2
    assert (table[2]["point"], table[2]["layer"], table[2]["offset"]) == (POINT, 1, -2)
    grid = found.measure("norm")
    assert grid.shape == (3, 2)
    assert grid[1, 0].item() == table[2]["norm"]
    assert "Directions(3 points x 2 positions" in repr(found)
    assert found.plot().svg.startswith("<svg")
    assert "<svg" in found._repr_html_()
    assert same(found.vector(POINT, -1), found.vector(POINT, found.positions[1]))
    with pytest.raises(ValueError, match="name is 'size'"):
        found.measure("size")
    with pytest.raises(KeyError, match=r"did you mean 'blocks.1.hook_resid_pre'"):
        found.vector("blocks.1.hook_resid_pr", -1)
    with pytest.raises(KeyError, match="position is 5"):
        found.vector(POINT, 5)


def test_saved_directions_come_back_bit_for_bit(tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder, _ = planted(tiny, tmp_path / "planted")
    splits = last_word_splits()
    found = difference_of_means(collect(lw.load(folder), splits.fit))
    found.save(tmp_path / "found.safetensors")
    again = Directions.load(tmp_path / "found.safetensors")
    assert again.provenance == found.provenance
    assert again.provenance["fit"]["sha256"] == splits.fit.sha256
    assert (again.points, again.positions, again.offsets) == (
        found.points, found.positions, found.offsets,
    )  # fmt: skip
    for point in found.points:
        assert same(again.found[point].raw, found.found[point].raw)
        assert same(again.found[point].split_cosine, found.found[point].split_cosine)


def test_means_alone_have_no_standard_error() -> None:
    with pytest.raises(ValueError, match=r"stats keeps \['mean'\], expected 'variance'"):
        difference_of_means(statistics_of(samples(), what=("mean",)))
