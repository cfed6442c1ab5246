"""Captures and logits of a growing text: as of one forward over the whole of it."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw
from lenswright.verifying.verify import relative_error
from support import random_tokens

ROWS = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14]]
HOW = {"max_new_tokens": 9, "stop_at_eos": False}


@pytest.mark.parametrize("name", ["llama-grouped", "gpt2"])
@pytest.mark.parametrize("rows", [random_tokens(2, 7).tolist(), ROWS], ids=["even", "ragged"])
def test_every_point_by_absolute_position(tiny, name, rows):
    model = lw.load(tiny(name), dtype="float64")
    made = model.generate(rows, names_filter="*", return_logits=True, **HOW)
    plain = model.generate(rows, return_type="tokens", **HOW)
    assert made.tokens == plain  # watching changes nothing
    texts = [row + new[:-1] for row, new in zip(rows, plain, strict=True)]
    logits, cache = model.run_with_cache(texts)
    assert list(made.cache) == list(cache)
    lengths = [len(text) for text in texts]
    assert (made.cache.lengths or lengths[:1] * len(rows)) == lengths
    for point in cache:
        for row, length in enumerate(lengths):
            ours, theirs = made.cache[point][row], cache[point][row]
            if point.endswith(("hook_pattern", "hook_attn_scores")):
                ours, theirs = ours[:, :length, :length], theirs[:, :length, :length]
                ours, theirs = (x.masked_fill(x.isinf(), 0.0) for x in (ours, theirs))
            else:
                # Behind the last block there is only what a token was chosen from.
                start = len(rows[row]) - 1 if point.startswith(("ln_final", "unembed")) else 0
                assert not ours.is_floating_point() or ours[:start].isnan().all()
                ours, theirs = ours[start:length], theirs[start:length]
            assert relative_error(ours, theirs) < 1e-12, point
    for row, length in enumerate(lengths):
        start = len(rows[row]) - 1
        assert relative_error(made.logits[row], logits[row, start:length]) < 1e-12


def test_one_point_and_rows_that_end(tiny):
    model = lw.load(tiny("llama"), dtype="float64")
    said = model.generate(ROWS, return_type="tokens", **HOW)
    end = said[1][3]
    how = {"max_new_tokens": 9, "stop": end, "stop_at_eos": False}
    made = model.generate(ROWS, names_filter=("resid_post", 1), return_logits=True, **how)
    short = [row[: row.index(end) + 1] if end in row else row for row in said]
    assert made.tokens == short
    assert [end == "stop" for end in made.ends] == [len(row) < 9 or row[-1] == end for row in short]
    lengths = [len(row) + len(new) - 1 for row, new in zip(ROWS, short, strict=True)]
    assert made.cache.lengths == lengths
    values = made.cache["resid_post", 1]
    assert values.shape == (3, max(lengths), 30)
    for row, length in enumerate(lengths):
        assert values[row, :length].isfinite().all()
        assert values[row, length:].isnan().all()
        steps = len(short[row])
        assert made.logits[row, :steps].isfinite().all()
        assert made.logits[row, steps:].isnan().all()


def test_without_a_cache_and_with_hooks(tiny):
    model, tokens = lw.load(tiny("gpt2"), dtype="float64"), random_tokens(2, 5)
    hooks = [("blocks.0.hook_resid_post", lambda x, hook: 1.5 * x)]
    how = {**HOW, "fwd_hooks": hooks, "names_filter": ["resid_post", "pattern"]}
    cached, whole = (model.generate(tokens, use_cache=use, **how) for use in (True, False))
    assert cached.tokens == whole.tokens
    for point in cached.cache:
        assert relative_error(cached.cache[point], whole.cache[point]) < 1e-12


def test_logits_are_the_models_own(tiny):
    """Before penalties and filters."""
    model, tokens = lw.load(tiny("llama"), dtype="float64"), random_tokens(2, 5)
    how = {"temperature": 0.7, "top_k": 3, "repetition_penalty": 1.5, "return_logits": True}
    made = model.generate(tokens, 4, stop_at_eos=False, **how)
    whole = torch.cat([tokens, torch.tensor(made.tokens)], 1)[:, :-1]
    assert relative_error(made.logits, model(whole)[:, 4:]) < 1e-12


def test_unknown_points_are_refused(tiny):
    model = lw.load(tiny("llama"))
    with pytest.raises(KeyError, match="hook_resid_post"):
        model.generate(random_tokens(1, 3), names_filter="blocks.0.hook_resid_pots")
