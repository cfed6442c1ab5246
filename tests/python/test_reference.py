"""The oracle itself: lifted transformers against the same network written out in plain float64."""

from __future__ import annotations

import pytest
import torch

from conftest import CONFIGS
from lenswright.reference import Reference
from lenswright.reference.points import is_expanded, site
from lenswright.verifying.lifted import lifted
from plain import Plain
from support import next_token_loss, random_tokens, worst


@pytest.mark.parametrize("name", CONFIGS)
def test_lifted_points_are_right_to_the_last_digits(tiny, name):
    folder, tokens = tiny(name), random_tokens(3, 11)
    plain = Plain(folder).forward(tokens)
    reference = Reference(folder)
    assert set(reference.names()) == set(plain)
    error, where = worst(reference.points(tokens, list(plain)), plain)
    assert error < 1e-14, where


@pytest.mark.parametrize("name", CONFIGS)
def test_lifted_gradients_are_right_to_the_last_digits(tiny, name):
    folder, tokens = tiny(name), random_tokens(3, 11)
    plain = Plain(folder)
    points = plain.forward(tokens)
    at_points, at_weights = Reference(folder).gradients(
        tokens, lambda logits: next_token_loss(logits, tokens)
    )
    loss = next_token_loss(points["unembed.hook_out"], tokens)
    wanted = [points[n] for n in at_points] + [plain.weights[n] for n in at_weights]
    theirs = torch.autograd.grad(loss, wanted)
    names = [*at_points, *at_weights]
    error, where = worst({**at_points, **at_weights}, dict(zip(names, theirs, strict=True)))
    assert error < 1e-13, where


def test_without_lifting_transformers_is_not_right(tiny):
    folder, tokens = tiny("llama"), random_tokens(2, 9)
    plain = Plain(folder).forward(tokens)["unembed.hook_out"].detach()
    reference = Reference(folder)
    with torch.no_grad():
        bare = reference.model(tokens, use_cache=False).logits
    error, _ = worst({"logits": bare}, {"logits": plain})
    assert 1e-9 < error < 1e-5


def test_lifted_turns_every_kind_of_cast_to_float64():
    x = torch.arange(3)
    with lifted():
        made = [
            x.float(), x.half(), x.bfloat16(), x.to(torch.float32), x.to(dtype=torch.float16),
            x.type(torch.bfloat16), x.type("torch.FloatTensor"), torch.zeros(2), x / 2, x.sqrt(),
            torch.softmax(x.double(), -1, dtype=torch.float32), torch.zeros(2, dtype=torch.half),
            torch.arange(0, 2, dtype=torch.float),
        ]  # fmt: skip
        kept = x.to(torch.int32)
    assert {value.dtype for value in made} == {torch.float64}
    assert kept.dtype == torch.int32
    narrow = torch.zeros(1)
    with lifted():
        assert x.type_as(narrow).dtype == torch.float64
        assert x.to(narrow).dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).dtype == torch.float32


def test_unknown_family_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "rwkv"}')
    with pytest.raises(ValueError, match=r"'rwkv'.*gpt2.*llama"):
        Reference(tmp_path)


def test_sites():
    assert site("blocks.12.attn.hook_z") == "attn.hook_z"
    assert site("ln_final.hook_scale") == "ln_final.hook_scale"
    assert is_expanded("blocks.0.hook_q_input")
    assert is_expanded("hook_tokens")
    assert not is_expanded("blocks.0.hook_resid_pre")
