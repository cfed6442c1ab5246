"""Gradients of a loss by every stored tensor of every family, against lifted transformers."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from families import ROWS
from lenswright.reference import Reference
from support import next_token_loss, random_tokens, worst

LIMIT = 1e-8


def in_float64(folder, out):
    """The same checkpoint with its tensors widened, so that their gradients are float64 too."""
    out.mkdir()
    wide = {n: w.double() for n, w in load_file(folder / "model.safetensors").items()}
    save_file(wide, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_bytes((folder / "config.json").read_bytes())
    return out


def as_stored(model, gradients, folder):
    """Gradients under the names and in the layout in which `transformers` saves the weights."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(gradients[name])
        for value in model.buffers():  # stored beside the weights, but nobody trains them
            value.fill_(torch.nan if value.is_floating_point() else 0)
    model.save_pretrained(folder)
    saved = load_file(folder / "model.safetensors")
    return {name: value for name, value in saved.items() if not value.isnan().all()}


@pytest.mark.parametrize("name", ROWS)
def test_gradients_of_stored_weights(family, name, tmp_path):
    folder, tokens = in_float64(family(name), tmp_path / "wide"), random_tokens(2, 9)
    model = lw.load(folder, dtype="float64")
    weights = model.parameters()
    for weight in weights.values():
        if weight.is_floating_point():
            weight.requires_grad_()
    watched = {n: w for n, w in weights.items() if w.requires_grad}
    loss = next_token_loss(model(tokens), tokens)
    found = torch.autograd.grad(loss, list(watched.values()), allow_unused=True)
    ours = {n: g for n, g in zip(watched, found, strict=True) if g is not None}

    reference = Reference(folder)
    _, by_name = reference.gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    theirs = as_stored(reference.model, by_name, tmp_path / "gradients")
    # What has no say (a key's bias, which shifts all scores of a query alike) is rounding there.
    nothing = 1e-14 * max(g.abs().max() for g in theirs.values())
    silent = {n for n, g in theirs.items() if g.abs().max() <= nothing}
    assert all(ours[n].abs().max() <= nothing for n in silent & set(ours))
    kept = {n: g for n, g in theirs.items() if n not in silent and n in watched}
    assert len(kept) > 3 * model.cfg.n_layers
    assert set(kept) <= set(ours)
    error, where = worst(ours, kept)
    assert error <= LIMIT, where
