"""The oracle's rotary tables: float32 in a lifted run too, and without memory of longer rows."""

from __future__ import annotations

import pytest
import torch

from lenswright.reference import Reference
from support import random_tokens

CHANGING = [
    ("llama", "dynamic"),
    ("llama", "longrope"),
    ("phi3", "longrope"),
    ("hunyuan_v1_dense", "dynamic"),
]


@pytest.mark.parametrize("case", CHANGING, ids="-".join)
def test_tables_are_those_of_transformers_in_float32(family, case):
    lifted, plain = Reference(family(*case)), Reference(family(*case), torch.float32)
    for ref in (lifted, plain):
        ref.run(random_tokens(1, 13))
    ours, theirs = lifted.find("rotary_emb").inv_freq, plain.find("rotary_emb").inv_freq
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, plain.find("rotary_emb").original_inv_freq)


@pytest.mark.parametrize("case", CHANGING, ids="-".join)
def test_longer_rows_leave_nothing_behind(family, case):
    fresh, used = Reference(family(*case)), Reference(family(*case))
    used.run(random_tokens(1, 16))
    for length in (13, 8, 5, 12):
        tokens = random_tokens(2, length)
        now, then = (ref.points(tokens, ["logits"])["logits"] for ref in (used, fresh))
        assert torch.equal(now, then)
        fresh = Reference(family(*case))
