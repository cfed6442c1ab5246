"""Prompts that begin alike: what they share is read once."""

from __future__ import annotations

import pytest
import torch

import lenswright as lw

BOTH = ["llama-grouped", "gpt2"]
PREFIX = [(7 * i + i * i) % 90 + 3 for i in range(20)]
SHARING = [[*PREFIX, 5, 6, 7], [*PREFIX, 8], [*PREFIX, 9, 10]]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "rows", [SHARING, [PREFIX] * 3, [*SHARING, PREFIX]], ids=["cut", "equal", "whole"]
)
def test_a_shared_prefix_is_read_once(tiny, name, rows):
    model = lw.load(tiny(name), dtype="float64")
    how = {"max_new_tokens": 12, "stop_at_eos": False, "return_type": "tokens"}
    alone = [model.generate([row], **how)[0] for row in rows]
    made = model.generate(rows, **how | {"return_type": "both", "names_filter": "hook_embed"})
    assert made.tokens == alone
    embed = model.capture([r + a[:-1] for r, a in zip(rows, alone, strict=True)], "hook_embed")
    for row, length in enumerate(made.cache.lengths or [31] * 3):
        assert torch.equal(
            made.cache["hook_embed"][row, :length], embed["hook_embed"][row, :length]
        )
    assert model.generate(rows, padding_side="left", **how) == alone
    with lw.deterministic():
        deterministic = model.generate(rows, **how)
        assert deterministic == [model.generate([row], **how)[0] for row in rows]


def test_hooks_and_row_edits_see_whole_rows(tiny):
    """Where rows may differ nothing is shared; where an edit holds for all, it is."""
    model, widths = lw.load(tiny("llama"), dtype="float64"), []
    how = {"max_new_tokens": 4, "stop_at_eos": False, "return_type": "tokens"}
    look = [("blocks.0.hook_resid_pre", lambda x, hook: widths.append(tuple(x.shape[:2])))]
    model.generate(SHARING, fwd_hooks=look, **how)
    assert widths == [(3, 23), (3, 1), (3, 1), (3, 1)]
    vectors = torch.randn(3, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    edits = lw.edits.ablate(model, vectors, rows=True)
    with model.edited(edits):
        together = model.generate(SHARING, **how)
    for row in range(3):
        with model.edited(edits.row(row)):
            assert model.generate(SHARING[row : row + 1], **how) == [together[row]]
            one_for_all = model.generate(SHARING, **how)
        with model.edited(edits.take([row] * 3)):
            assert model.generate(SHARING, **how) == one_for_all
