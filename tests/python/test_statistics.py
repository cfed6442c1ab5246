"""Statistics against plain float64 sums over activations of an independent forward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenswright as lw
import wordy
from lenswright.collecting.statistics import Statistics, collect
from lenswright.prompting.prompts import PromptSet, Splits
from plain import Plain
from support import same

FAMILIES = ["llama-grouped", "gpt2"]
POINTS = ["resid_pre", "blocks.1.attn.hook_z", "blocks.*.hook_mlp_out"]


def make_splits(count: int = 11) -> Splits:
    texts = wordy.sentences(6 * count, seed=3)
    parts = [texts[i * count : (i + 1) * count] for i in range(6)]
    roles = ("fit", "select", "test")
    return Splits.from_parts(
        **{r: {"positive": parts[2 * i], "negative": parts[2 * i + 1]} for i, r in enumerate(roles)}
    )


@pytest.fixture(scope="module")
def folders(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("wordy")
    return {name: wordy.copy(tiny(name), base / name) for name in FAMILIES}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return make_splits()


def oracle(folder: Path, prompts: Any, point: str, offsets: list[int]) -> np.ndarray:
    """Activations [prompts, offsets, d] of prompts run one by one in float64."""
    model = Plain(folder)
    rows = []
    for prompt in prompts:
        values = model.forward(torch.tensor([wordy.chat_ids(prompt.text)]))[point][0]
        rows.append(values.detach().flatten(1)[offsets].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-12), ("float32", 1e-5)])
def test_moments_are_those_of_an_independent_forward(
    folders: dict[str, Path], splits: Splits, family: str, dtype: str, limit: float
) -> None:
    model = lw.load(folders[family], dtype=dtype)
    stats = collect(model, splits.fit, points=POINTS, batch_size=4)
    assert len(stats.points) == 3 + 1 + 3
    assert [p.strip() for p in stats.positions] == wordy.SUFFIX
    assert stats.offsets == (-2, -1)
    for point in ("blocks.0.hook_resid_pre", "blocks.2.hook_resid_pre", "blocks.1.attn.hook_z"):
        for name in ("positive", "negative"):
            x = oracle(folders[family], splits.fit.of(name), point, [-2, -1])
            mean, variance = stats.mean(name, point), stats.variance(name, point)
            assert mean.dtype == torch.float64
            scale = np.abs(x).max()
            assert np.abs(mean.flatten(1).numpy() - x.mean(0)).max() <= limit * scale
            spread = np.abs(variance.flatten(1).numpy() - x.var(0, ddof=1)).max()
            assert spread <= limit * scale**2
            assert stats.n(name).tolist() == [len(x)] * 2
    assert stats.mean("positive", "blocks.1.attn.hook_z").shape == (2, model.cfg.n_heads, 10)


def test_halves_are_every_other_prompt_by_hash(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["gpt2"], dtype="float64")
    point = "blocks.1.hook_resid_pre"
    halves = collect(model, splits.fit, points=point).halves("positive", point)
    ordered = sorted(splits.fit.positive, key=lambda p: p.digest)
    assert [int(half.count[0]) for half in halves] == [6, 5]
    for half, prompts in zip(halves, (ordered[::2], ordered[1::2]), strict=True):
        x = oracle(folders["gpt2"], prompts, point, [-2, -1])
        np.testing.assert_allclose(half.mean.numpy(), x.mean(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_batch_size_threads_and_order_change_no_byte(
    folders: dict[str, Path], splits: Splits, family: str
) -> None:
    model = lw.load(folders[family])
    backwards = PromptSet("fit", splits.fit.positive[::-1], splits.fit.negative[::-1])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        runs = [collect(model, splits.fit, batch_size=size) for size in (1, 3, 16)]
        runs.append(collect(model, backwards, batch_size=5))
        torch.set_num_threads(2)
        runs.append(collect(model, splits.fit, batch_size=16))
    finally:
        torch.set_num_threads(threads)
    quick = collect(model, splits.fit, batch_size=7, deterministic=False)
    for point in runs[0].points:
        first = runs[0].moments[point]
        for other in runs[1:]:
            assert same(first.mean, other.moments[point].mean)
            assert same(first.m2, other.moments[point].m2)
        near = (quick.moments[point].mean - first.mean).abs().max() / first.mean.abs().max()
        assert near < 1e-6


@pytest.mark.parametrize(
    ("rule", "labels", "offsets"),
    [
        ("last", ("last",), [-1]),
        (-3, ("-3",), [-3]),
        ([0, -2], ("0", "-2"), [0, -2]),
    ],
)
def test_positions_by_rule(
    folders: dict[str, Path], splits: Splits, rule: Any, labels: tuple[str, ...], offsets: list[int]
) -> None:
    model = lw.load(folders["llama-grouped"], dtype="float64")
    point = "blocks.2.hook_resid_pre"
    stats = collect(model, splits.fit, points=point, positions=rule, batch_size=4)
    assert stats.positions == labels
    x = oracle(folders["llama-grouped"], splits.fit.negative, point, offsets)
    np.testing.assert_allclose(stats.mean("negative", point), x.mean(0), rtol=0, atol=1e-12)


def test_all_positions_are_one_sample_each(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["gpt2"], dtype="float64")
    point = "blocks.1.hook_resid_mid"
    stats = collect(model, splits.fit, points=point, positions="all", batch_size=4)
    rows = [
        oracle(folders["gpt2"], [prompt], point, list(range(len(wordy.chat_ids(prompt.text)))))[0]
        for prompt in splits.fit.positive
    ]
    x = np.concatenate(rows)
    assert stats.n("positive").tolist() == [len(x)]
    np.testing.assert_allclose(stats.mean("positive", point)[0], x.mean(0), rtol=0, atol=1e-12)
    expected = x.var(0, ddof=1)
    np.testing.assert_allclose(stats.variance("positive", point)[0], expected, rtol=0, atol=1e-11)


def test_merged_statistics_are_those_of_all_prompts(folders: dict[str, Path]) -> None:
    model = lw.load(folders["gpt2"], dtype="float64")
    splits = make_splits(12)
    fit = splits.fit
    parts = [PromptSet("fit", fit.positive[i::2], fit.negative[i::2]) for i in range(2)]
    first, second = (collect(model, part, points="resid_post") for part in parts)
    merged, whole = first.merge(second), collect(model, fit, points="resid_post")
    for name in ("positive", "negative"):
        for point in whole.points:
            torch.testing.assert_close(
                merged.mean(name, point), whole.mean(name, point), rtol=0, atol=1e-12
            )
            torch.testing.assert_close(
                merged.variance(name, point), whole.variance(name, point), rtol=0, atol=1e-11
            )
    assert merged.provenance["fit"]["digests"] == whole.provenance["fit"]["digests"]
    assert first.n("positive").tolist() == [6, 6]  # unchanged
    with pytest.raises(ValueError, match="shares 12 prompts"):
        first.merge(first)
    with pytest.raises(ValueError, match="other has points"):
        first.merge(collect(model, parts[1], points="resid_pre"))


def test_saved_statistics_come_back_bit_for_bit(
    folders: dict[str, Path], splits: Splits, tmp_path: Path
) -> None:
    model = lw.load(folders["gpt2"])
    for what in (("mean", "variance"), ("mean",)):
        stats = collect(model, splits.fit, points=POINTS, what=what)
        path = tmp_path / f"{len(what)}.safetensors"
        stats.save(path)
        again = Statistics.load(path)
        assert again.provenance == stats.provenance
        assert (again.points, again.positions, again.what) == (stats.points, stats.positions, what)
        assert again.shapes == stats.shapes
        for point in stats.points:
            assert same(again.mean("negative", point), stats.mean("negative", point))
            if "variance" in what:
                assert same(again.variance("negative", point), stats.variance("negative", point))
        with pytest.raises(FileExistsError):
            stats.save(path)
    with pytest.raises(ValueError, match="holds no statistics"):
        Statistics.load(folders["gpt2"] / "model.safetensors")


def test_hooks_are_seen(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["gpt2"], dtype="float64")
    point = "blocks.1.hook_resid_pre"
    plain = collect(model, splits.fit, points=point)
    with model.hooks([(point, lambda x, hook: x + 2.0)]):
        moved = collect(model, splits.fit, points=point)
    torch.testing.assert_close(
        moved.mean("positive", point), plain.mean("positive", point) + 2.0, rtol=0, atol=1e-12
    )


def test_wrong_arguments_are_named(folders: dict[str, Path], splits: Splits) -> None:
    model = lw.load(folders["gpt2"])
    with pytest.raises(ValueError, match="'test' part of its splits, expected the 'fit' part"):
        collect(model, splits.test)
    with pytest.raises(ValueError, match=r"'blocks.0.attn.hook_pattern' of shape"):
        collect(model, splits.fit, points="blocks.0.attn.hook_pattern")
    with pytest.raises(KeyError, match=r"did you mean 'blocks.0.hook_resid_pre'"):
        collect(model, splits.fit, points="blocks.0.hook_resid_prr")
    with pytest.raises(ValueError, match="did you mean 'last'"):
        collect(model, splits.fit, positions="lats")
    with pytest.raises(IndexError, match="positions has -9, but the prompt"):
        collect(model, splits.fit, positions=-9)
    with pytest.raises(ValueError, match="positions is"):
        collect(model, splits.fit, positions=[-1, -1])
    with pytest.raises(ValueError, match="what has 'median'"):
        collect(model, splits.fit, what=("mean", "median"))
    with pytest.raises(ValueError, match="batch_size is 0"):
        collect(model, splits.fit, batch_size=0)
    stats = collect(model, splits.fit, what=("mean",))
    with pytest.raises(ValueError, match="keep means only"):
        stats.variance("positive", stats.points[0])
    with pytest.raises(KeyError, match=r"did you mean 'blocks.1.hook_resid_pre'"):
        stats.mean("positive", "blocks.1.hook_resid_pr")
    with pytest.raises(KeyError, match="class is 'neutral'"):
        stats.mean("neutral", stats.points[0])
    with pytest.raises(KeyError, match="position is 'first'"):
        stats.position_index("first")


def test_activations_that_overflow_are_named(
    tiny: Callable[..., Path], tmp_path: Path, splits: Splits
) -> None:
    def enlarge(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.embed_tokens.weight"] *= 1e30

    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "big", change=enlarge), dtype="float16")
    with pytest.raises(
        ValueError, match=r"'blocks.0.hook_resid_pre' have values that are not finite"
    ):
        collect(model, splits.fit)


def test_the_face_and_its_pictures(folders: dict[str, Path], splits: Splits) -> None:
    stats = lw.load(folders["gpt2"]).collect(splits.fit)
    assert "11 positive, 11 negative" in repr(stats)
    assert "&lt;bot&gt;" in stats._repr_html_()
