"""Losses of texts, against transformers' own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.measuring.loss import next_token_loss
from lenswright.measuring.probes import own_text_loss, rows_loss, text_loss
from support import random_tokens


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model(dtype="float64")


@pytest.fixture(scope="module")
def reference() -> Any:
    return embedded.reference()


def total(reference: Any, row: list[int], skip: int = 0) -> tuple[float, int]:
    """Summed loss of a row's tokens behind the first `skip`, by transformers' labels."""
    ids = torch.tensor([row])
    labels = ids.clone()
    labels[:, :skip] = -100
    count = len(row) - max(skip, 1)
    with torch.no_grad():
        return float(reference(ids, labels=labels).loss) * count, count


def test_rows_loss(model: lw.Model, reference: Any) -> None:
    rows = [random_tokens(1, n, 150, n)[0].tolist() for n in (5, 17, 2, 9)]
    for skip in ([], [3, 4, 1, 0]):
        sums = [total(reference, row, skip[i] if skip else 0) for i, row in enumerate(rows)]
        expected = sum(s for s, _ in sums) / sum(n for _, n in sums)
        for size in (1, 3, 8):
            assert rows_loss(rows, size, skip)(model) == pytest.approx(expected, rel=1e-6)


def test_text_loss(model: lw.Model, reference: Any, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("make a bench for me , could you create a pie thank you\n" * 9)
    ids = model.tokenizer.encode_verbatim(path.read_text())[:50]
    bos = [] if model.tokenizer.bos_id is None else [model.tokenizer.bos_id]
    sums = [total(reference, bos + ids[i : i + 20]) for i in range(0, 50, 20)]
    expected = sum(s for s, _ in sums) / sum(n for _, n in sums)
    probe = text_loss(model, path, tokens=50, window=20, batch_size=2)
    assert probe(model) == pytest.approx(expected, rel=1e-6)
    with model.edited(lw.edits.ablate(model, torch.ones(model.cfg.d_model))):
        assert probe(model) != pytest.approx(expected, rel=1e-3)


def test_text_loss_on_a_real_text(data: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = data / "TinyStories-656K"
    model = lw.load(folder, dtype="float64")
    ours = text_loss(model, data / "text" / "tinyshakespeare.txt", tokens=300, window=100)(model)
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    text = (data / "text" / "tinyshakespeare.txt").read_text()[:4000]
    ids = model.tokenizer.encode_verbatim(text)[:300]
    rows = [[1, *ids[i : i + 100]] for i in range(0, 300, 100)]
    assert ours == pytest.approx(sum(total(reference, row)[0] for row in rows) / 300, rel=1e-6)


def test_own_text_loss_is_of_the_unedited_models_words(model: lw.Model, reference: Any) -> None:
    prompts = embedded.splits().test
    probe = own_text_loss(model, prompts, count=4, batch_size=3, max_new_tokens=6)
    sums = []
    for prompt in (*prompts.positive[:2], *prompts.negative[:2]):
        given = model.prompt_tokens([prompt.text])[0]
        row = torch.tensor([given])
        whole = reference.generate(row, max_new_tokens=6, do_sample=False)[0].tolist()
        sums.append(total(reference, whole, len(given)))
    expected = sum(s for s, _ in sums) / sum(n for _, n in sums)
    # transformers casts norms to float32; the loss is small
    assert probe(model) == pytest.approx(expected, rel=1e-4)
    with model.edited(lw.edits.ablate(model, torch.ones(model.cfg.d_model))):
        assert probe(model) > expected  # the words are not made anew


def test_texts_that_cannot_be_measured(model: lw.Model, tmp_path: Path) -> None:
    missing = tmp_path / "none.txt"
    with pytest.raises(FileNotFoundError, match=re.escape(f"text file {missing} does not exist")):
        text_loss(model, missing)
    short = tmp_path / "short.txt"
    short.write_text("")
    with pytest.raises(ValueError, match="has 0 tokens"):
        text_loss(model, short)
    short.write_bytes(b"make a \xff\xfe")
    with pytest.raises(ValueError, match=r"short\.txt is not UTF-8 text \(byte 7\)"):
        text_loss(model, short)
    with pytest.raises(ValueError, match="window 0"):
        text_loss(model, short, window=0)


@pytest.mark.parametrize("side", ["right", "left"])
def test_next_token_loss(side: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 11, generator=generator, dtype=torch.float64)
    tokens, lengths = random_tokens(2, 6, 11), [6, 4]
    losses = next_token_loss(logits, tokens, lengths, side, per_token=True)
    starts = [0, 2 if side == "left" else 0]
    expected = []
    for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        for place in range(start, start + length - 1):
            p = logits[row, place].exp() / logits[row, place].exp().sum()
            expected.append(-float(p[tokens[row, place + 1]].log()))
            assert float(losses[row, place]) == pytest.approx(expected[-1], rel=1e-12)
    assert int(losses.isnan().sum()) == 2
    mean = next_token_loss(logits, tokens, lengths, side, per_token=False)
    assert float(mean) == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    whole = next_token_loss(logits, tokens, [], side, per_token=False)
    assert float(whole) == pytest.approx(
        float(
            torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        )
    )
    with pytest.raises(ValueError, match="at least two tokens"):
        next_token_loss(logits[:, :1], tokens[:, :1], [], side, per_token=False)
