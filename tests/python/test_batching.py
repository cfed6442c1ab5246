"""What a row's numbers must not depend on: its neighbours, its padding, the number of threads."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

BOTH = ["llama-grouped", "gpt2", "llama-wide-heads"]
TRAINED = ["TinyStories-656K", "stories260K-hf"]
LENGTHS = [9, 1, 17, 5, 33, 12, 2, 8, 20, 3, 31, 7, 16, 4, 11, 6]
LIMIT = 1e-6


@pytest.fixture(autouse=True)
def keep_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def rows(count):
    return [random_tokens(1, LENGTHS[i], seed=i)[0].tolist() for i in range(count)]


def real(tensor, name, row, length, side):
    """The part of a batched tensor that belongs to one row."""
    tensor = tensor[row]
    where = slice(tensor.shape[-1 if "pattern" in name or "scores" in name else 0] - length, None)
    where = slice(0, length) if side == "right" else where
    square = "pattern" in name or "scores" in name
    return tensor[:, where, where] if square else tensor[where]


def runs(model, batch, side):
    """Logits and every point of each row of a batch, its padding cut away: one dict a row."""
    logits, cache = model.run_with_cache(batch, padding_side=side)
    everything = {"logits": logits, **dict(cache.items())}
    return [
        {n: real(t, n, i, len(row), side) for n, t in everything.items()}
        for i, row in enumerate(batch)
    ]  # fmt: skip


def worst(got, alone):
    """The largest relative error of each point, over all rows of a batch."""
    errors = {}
    for name in got[0]:
        a = torch.cat([row[name].flatten() for row in got]).double()
        b = torch.cat([row[name].flatten() for row in alone[: len(got)]]).double()
        errors[name] = relative_error(a, b)
    return errors


def assert_identical(got, alone):
    for row, expected in zip(got, alone, strict=False):
        for name, value in expected.items():
            assert same(row[name], value), name


def every_setting(model):
    """(rows of a batch, the same rows each run alone on one thread): sizes, sides and threads."""
    torch.set_num_threads(1)
    alone = [runs(model, [row], "right")[0] for row in rows(16)]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for size, side in ((1, "right"), (3, "right"), (3, "left"), (16, "right"), (16, "left")):
            yield runs(model, rows(size), side), alone


@pytest.mark.parametrize("name", BOTH)
def test_rounding_only(tiny, name):
    model = lw.load(tiny(name), dtype="float32")
    for got, alone in every_setting(model):
        errors = worst(got, alone)
        assert max(errors.values()) <= LIMIT, max(errors, key=errors.get)


@pytest.mark.parametrize("name", TRAINED)
def test_rounding_only_on_trained_models(data, name):
    """Logits to 1e-6. A softmax over large scores multiplies their rounding: patterns to 1e-5."""
    model = lw.load(data / name, dtype="float32")
    for got, alone in every_setting(model):
        errors = worst(got, alone)
        assert errors["logits"] <= LIMIT
        assert max(errors.values()) <= 10 * LIMIT, max(errors, key=errors.get)


@pytest.mark.parametrize("name", BOTH)
def test_the_same_bytes_when_deterministic(tiny, name):
    model = lw.load(tiny(name), dtype="float32")
    with lw.deterministic():
        for got, alone in every_setting(model):
            assert_identical(got, alone)


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_bytes_on_trained_models(data, name):
    model = lw.load(data / name, dtype="float32")
    with lw.deterministic():
        for got, alone in every_setting(model):
            assert_identical(got, alone)


@pytest.mark.parametrize("name", BOTH)
def test_deterministic_changes_rounding_only(tiny, name):
    model, batch = lw.load(tiny(name), dtype="float32"), rows(3)
    plain = runs(model, batch, "right")
    with lw.deterministic():
        errors = worst(runs(model, batch, "right"), plain)
    assert max(errors.values()) <= LIMIT, max(errors, key=errors.get)
    assert_identical(runs(model, batch, "right"), plain)


def test_deterministic_nests_and_ends(tiny):
    model, batch = lw.load(tiny("llama")), [row[:5] for row in rows(4) if len(row) > 4]
    plain = model(batch)
    with lw.deterministic():
        with lw.deterministic():
            inner = model(batch)
        outer = model(batch)
    assert same(inner, outer)
    assert same(model(batch), plain)


def test_deterministic_generation_does_not_depend_on_the_batch(tiny):
    model = lw.load(tiny("gpt2"))
    how = {"max_new_tokens": 8, "stop_at_eos": False, "return_type": "tokens"}
    with lw.deterministic():
        alone = [model.generate([row], **how)[0] for row in rows(3)]
        assert model.generate(rows(3), **how) == alone


def test_the_cache_knows_where_rows_are(tiny):
    model, batch = lw.load(tiny("llama")), rows(3)
    _, cache = model.run_with_cache(batch, padding_side="left")
    assert list(cache.lengths) == [9, 1, 17]
    assert cache["hook_embed"].shape == (3, 17, 30)


def test_texts_and_tokens_are_the_same_batch(data):
    model = lw.load(data / "TinyStories-656K")
    texts = ["Once upon a time", "The dog ran", "A"]
    tokens = [model.to_tokens(text)[0].tolist() for text in texts]
    for side in ("left", "right"):
        a = model(texts, padding_side=side)
        b = model(tokens, padding_side=side)
        assert a.shape == b.shape
        for i, row in enumerate(tokens):
            assert same(real(a, "logits", i, len(row), side), real(b, "logits", i, len(row), side))


def test_loss_of_a_ragged_batch_counts_real_tokens_only(tiny):
    model = lw.load(tiny("llama"), dtype="float64")
    batch = [row for row in rows(5) if len(row) > 1]
    losses = torch.stack([model([row], return_type="loss") for row in batch])
    counts = torch.tensor([len(row) - 1.0 for row in batch], dtype=torch.float64)
    expected = (losses * counts).sum() / counts.sum()
    for side in ("left", "right"):
        ours = model(batch, return_type="loss", padding_side=side)
        assert torch.allclose(ours, expected, rtol=1e-12)


def test_same_call_same_bytes(tiny):
    model, batch = lw.load(tiny("llama-grouped")), rows(16)
    a, b = runs(model, batch, "right"), runs(model, batch, "right")
    assert all(same(x[n], y[n]) for x, y in zip(a, b, strict=True) for n in x)


@pytest.mark.parametrize(
    "wrong", [[], [[]], [[1, 2], []], [[1, "a"]], [[1.5, 2.0]], 3.5, [["1"]], None]
)
def test_what_is_no_batch(tiny, wrong):
    with pytest.raises((ValueError, TypeError)):
        lw.load(tiny("llama"))(wrong)


def test_shapes_and_types_of_token_tensors(tiny):
    model = lw.load(tiny("llama"))
    assert model(torch.tensor([[1, 2, 3]], dtype=torch.int32)).shape == (1, 3, 97)
    assert model(torch.tensor([1, 2, 3])).shape == (1, 3, 97)
    for wrong in (
        torch.zeros(1, 2, 3, dtype=torch.long),
        torch.zeros(2, 3),
        torch.zeros(0, 3).long(),
    ):
        with pytest.raises((ValueError, TypeError)):
            model(wrong)
