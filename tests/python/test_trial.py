"""Many edits at once: every row gives what its edit gives alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from editing import direction, general_factors, loaded, stored_as
from editing_families import Family, prepared
from lenswright.directions import TokenLogOdds, score_prompts
from lenswright.verifying.verify import relative_error
from support import random_tokens

Tiny = Callable[..., Path]

CASES = [
    ("llama", "", False), ("gpt2", "", False), ("gpt2", "untied", False), ("phi", "", False),
    ("gemma2", "", False), ("gemma3", "linear, tied", False), ("olmo2", "", False),
    ("bloom", "", False), ("mixtral", "", False), ("qwen2_moe", "", True), ("gpt_oss", "", True),
    ("deepseek_v3", "", False), ("qwen2_vl", "late window, tied", False),
]  # fmt: skip
"""Separate, tied and sandwiched; positions and norms of embeddings; mixtures in both layouts."""


def many(model: lw.Model) -> dict[str, Any]:
    """Edits of unlike methods, ranks, writers and factors."""
    v, u = direction(model), direction(model, 1)
    return {
        "none": None,
        "plain": lw.edits.ablate(model, v),
        "half": 0.5 * lw.edits.ablate(model, u, writers="attention"),
        "span": lw.edits.ablate(model, torch.stack([u, v]), "subspace"),
        "write_norm": lw.edits.ablate(model, v, "write_norm", writers="attention"),
        "row_norm": lw.edits.ablate(model, u, "row_norm"),
        "layer": lw.edits.ablate(model, {1: v}),
        "general": lw.edits.from_factors(model, general_factors(model)),
    }


Case = tuple[str, str, bool]


def alone(model: lw.Model, edit: lw.edits.Edit | None, of: Callable[[], Any]) -> Any:
    with model.edited(*([] if edit is None else [edit])):
        return of()


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_every_row_is_its_edit_alone(
    family: Family, tmp_path: Path, case: tuple[str, str, bool]
) -> None:
    model = lw.load(prepared(family, tmp_path, case), dtype="float64")
    edits = many(model)
    rows = [random_tokens(1, n, seed=i)[0].tolist() for i, n in enumerate((5, 9, 7))]
    tried = model.trial(edits, rows, batch_size=7)
    assert tried.logits.shape == (len(edits), 3, model.cfg.d_vocab)
    plain = model(rows, logits_at="last")[:, 0]
    for name, edit in edits.items():
        expected = alone(model, edit, lambda: model(rows, logits_at="last")[:, 0])
        assert relative_error(tried[name], expected) < 1e-12, name
        assert edit is None or relative_error(expected, plain) > 1e-4, f"{name} does nothing"


@pytest.mark.parametrize("case", [CASES[1], CASES[4], CASES[8], CASES[10]], ids=str)
def test_cached_decoding_says_what_each_edit_says(
    family: Family, tmp_path: Path, case: tuple[str, str, bool]
) -> None:
    model = lw.load(prepared(family, tmp_path, case), dtype="float64")
    edits = many(model)
    rows = [random_tokens(1, n, seed=i)[0].tolist() for i, n in enumerate((6, 3))]
    for how in ({}, {"temperature": 1.3, "seed": 5}):
        given = {"max_new_tokens": 9, "stop_at_eos": False, **how}
        tried = model.trial(edits, rows, "texts", batch_size=5, **given)
        said = [
            alone(model, edit, lambda: model.generate(rows, return_type="tokens", **given))  # noqa: B023
            for edit in edits.values()
        ]
        assert tried.tokens == said
    assert len({str(row) for row in said}) > 1, "the edits all say the same"


def test_functions_and_scores(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "llama")
    edits = {name: edit for name, edit in many(model).items() if name != "general"}
    tokens = random_tokens(4, 6)
    whole = model.trial(edits, tokens).logits
    values = model.trial(edits, tokens, lambda logits: logits[:, :3], batch_size=5).values
    assert relative_error(values, whole[..., :3]) < 1e-12
    best = model.trial(edits, tokens, lambda logits: logits.argmax(-1)).values
    assert torch.equal(best, whole.argmax(-1))
    assert whole.shape[:2] == (len(edits), 4)


def test_a_score_on_prompts_of_the_selection() -> None:
    model, splits = embedded.model(dtype="float64"), embedded.splits(4, 3, 3)
    score = TokenLogOdds([[5], [6, 7]], [[20]])
    v = direction(model)
    edits = {
        "none": None,
        "all": lw.edits.ablate(model, v),
        "mlp": lw.edits.ablate(model, v, writers="mlp"),
    }
    tried = model.trial(edits, splits.select, score, batch_size=5)
    ready = score.prepare(model, splits.select)
    for name, edit in edits.items():
        expected = alone(model, edit, lambda: score_prompts(model, ready, list(splits.select)))
        assert tried[name].tolist() == pytest.approx(expected, abs=1e-10)
    assert len({round(float(row[0]), 6) for row in tried.values}) == 3
    texts = model.trial(edits, list(splits.select), "texts", max_new_tokens=3).texts
    said = model.generate(
        model.prompt_tokens([p.text for p in splits.select]), max_new_tokens=3, return_type="text"
    )
    assert texts[0] == said
    with pytest.raises(ValueError, match="'test' part of its splits, expected the 'select' part"):
        model.trial(edits, splits.test, score)
    seen = lw.edits.from_factors(model, {}, {"fit": splits.select.provenance})
    with pytest.raises(ValueError, match="was already used to fit; trying edits needs prompts"):
        model.trial({"a": seen}, splits.select, score)
    with pytest.raises(TypeError, match="expected a PromptSet"):
        model.trial(edits, "a text", score)


def test_a_stack_is_an_edit_of_rows(tiny: Tiny, tmp_path: Path) -> None:
    model = loaded(tiny, tmp_path, "gpt2-untied")
    edits = [edit for edit in many(model).values() if edit is not None]
    stacked = lw.edits.stack(edits)
    assert stacked.rows == len(edits)
    tokens = random_tokens(2, 6)
    for index, edit in enumerate(edits):
        expected = alone(model, edit, lambda: model(tokens))
        assert (
            relative_error(alone(model, stacked.row(index), lambda: model(tokens)), expected)
            < 1e-12
        )
    whole = stacked.take(list(reversed(range(len(edits)))))
    with model.edited(whole):
        last = model(tokens[:1].expand(len(edits), -1))[0]
    assert relative_error(last, alone(model, edits[-1], lambda: model(tokens))[0]) < 1e-12


def test_what_cannot_be_a_row(tiny: Tiny, tmp_path: Path) -> None:
    folder = stored_as(tiny("llama"), tmp_path / "in", "float32")
    model, tokens = lw.load(folder), random_tokens(1, 4)
    v = direction(model)
    edit = lw.edits.ablate(model, v)
    named = lw.edits.ablate_tensors(folder, v, "*.o_proj.weight", axis="rows")
    with pytest.raises(
        ValueError, match=r"edit 'b' cannot be tried as a row.*by its name.*not tried"
    ):
        model.trial({"a": edit, "b": named}, tokens)
    with pytest.raises(ValueError, match=r"edit 1 changes 'model.layers.*' by its name"):
        lw.edits.stack([edit, named])
    rows = lw.edits.ablate(model, torch.eye(30)[:3], rows=True)
    with pytest.raises(ValueError, match=r"edit '1' is 3 edits.*expected edit\.row"):
        model.trial([edit, rows], tokens)
    assert model.trial(rows, tokens).logits.shape == (3, 1, 97)
    other = lw.load(tiny("gpt2"))
    foreign = lw.edits.ablate(other, direction(other), writers="positional_embedding")
    with pytest.raises(
        ValueError, match=r"edit '1' cannot be tried.*which this model.*does not have"
    ):
        model.trial([None, foreign], tokens)
    changed = stored_as(tiny("llama"), tmp_path / "half", "float16")
    alike = lw.edits.ablate(lw.load(changed), v)
    with pytest.raises(
        ValueError, match=r"edit 1 was made for another '.*expected edits of one model"
    ):
        model.trial([edit, alike], tokens)
    for given, message in (
        ([], "edits is empty"), (["x"], "edit '0' is str, expected an Edit or None"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            model.trial(given, tokens)
    with pytest.raises(ValueError, match="what is 'loss', expected 'logits', 'texts'"):
        model.trial([edit], tokens, "loss")
    with pytest.raises(ValueError, match="batch_size is 0"):
        model.trial([edit], tokens, batch_size=0)
    with pytest.raises(ValueError, match=r"gave \[\], expected a tensor \[1, \.\.\.\]"):
        model.trial([edit], tokens, lambda logits: logits.sum())
    with pytest.raises(TypeError, match="no argument 'max_new_token'; did you mean"):
        model.trial([edit], tokens, "texts", max_new_token=3)
    with pytest.raises(TypeError, match="max_new_tokens is given, which only what='texts'"):
        model.trial([edit], tokens, max_new_tokens=3)
    with pytest.raises(ValueError, match="already edited in this run"), model.edited(edit):
        model.trial([edit], tokens)
    with pytest.raises(KeyError, match="expected one of"):
        model.trial({"a": edit}, tokens)["b"]
