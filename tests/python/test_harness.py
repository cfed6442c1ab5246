"""The adapter for EleutherAI's evaluation harness, on a task of our own and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw

lm_eval = pytest.importorskip("lm_eval", reason="pip install lenswright[eval]")

from lm_eval.api.instance import Instance  # noqa: E402

from lenswright.measuring.harness import EvalModel  # noqa: E402


@pytest.fixture(scope="module")
def model(data: Path) -> lw.Model:
    return lw.load(data / "TinyStories-656K")


def asked(kind: str, *args: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=args, idx=0)


def plainly(model: lw.Model, before: list[int], after: list[int]) -> tuple[float, bool]:
    logits = model(torch.tensor([before + after]))[0].double().log_softmax(-1)
    rows = logits[len(before) - 1 : len(before) - 1 + len(after)]
    return float(sum(row[t] for row, t in zip(rows, after, strict=True))), all(
        int(row.argmax()) == t for row, t in zip(rows, after, strict=True)
    )


def test_log_likelihoods_are_those_of_the_model() -> None:
    model = embedded.model()
    encode, decode = model.tokenizer.encode, model.tokenizer.decode
    context = "make a kettle"
    before = list(encode(context))
    said = model.generate([before], 3, return_type="tokens")[0]
    greedy = decode([*before, *said])[len(decode(before)) :]
    cases = [(context, greedy), (context, " of salt"), (f"{context} ", "of salt"), ("", context)]
    adapter = EvalModel(model, batch_size=3)
    found = adapter.loglikelihood([asked("loglikelihood", *c) for c in cases])
    assert found[1] == found[2]
    assert [one[1] for one in found[:2]] == [True, False]
    for (_, continuation), (score, best) in zip(cases[:2], found, strict=False):
        after = list(encode(context + continuation))[len(before) :]
        expected = plainly(model, before, after)
        assert score == pytest.approx(expected[0], rel=1e-5)
        assert best == expected[1]


def test_words_that_would_become_one_token_are_told_apart(model: lw.Model) -> None:
    """This tokenizer has tokens of several words, such as "upon a tim"."""
    before, after = list(model.tokenizer.encode("Once upon a")), model.tokenizer.encode_verbatim
    (found,) = EvalModel(model).loglikelihood([asked("loglikelihood", "Once upon a", " time")])
    expected = [plainly(model, before, list(after(text)))[0] for text in (" time", "time")]
    assert any(found[0] == pytest.approx(one, rel=1e-5) for one in expected)


def test_rolling_windows_share_no_token(model: lw.Model) -> None:
    text = "One day a girl went to the park. " * 130
    size = model.cfg.n_ctx
    adapter = EvalModel(model)
    (score,) = adapter.loglikelihood_rolling([asked("loglikelihood_rolling", text)])
    ids = list(model.tokenizer.encode(text))
    first = model.tokenizer.bos_id
    ids = ids[1:] if ids[0] == first else ids
    assert len(ids) > size, "expected more than one window"
    expected = 0.0
    whole = [first, *ids]
    for begin in range(0, len(ids), size):
        end = min(begin + size, len(ids))
        before = whole[max(0, end - size) : begin + 1]
        expected += plainly(model, before, ids[begin:end][: size + 1 - len(before)])[0]
    assert score == pytest.approx(expected, rel=1e-5)


def test_answers_end_where_they_are_told(model: lw.Model) -> None:
    adapter = EvalModel(model)
    how = {"until": ["."], "max_gen_toks": 30, "do_sample": False, "temperature": 0.7}
    (answer,) = adapter.generate_until([asked("generate_until", "Once upon a time", how)])
    plain = model.generate("Once upon a time", 30, return_type="text")
    assert answer
    assert "." not in answer
    assert plain.startswith(answer)
    with pytest.raises(ValueError, match="generation_kwargs has 'num_beams'"):
        adapter.generate_until([asked("generate_until", "a", {"num_beams": 4})])


def test_a_task_of_our_own_with_an_edit_in_force(tmp_path: Path) -> None:
    model = embedded.model()
    rows = [{"q": "abc"[i % 3], "choices": ["a", "b"], "gold": i % 2} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "own", "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{q}}",
        "doc_to_choice": "{{choices}}", "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}],
    }  # fmt: skip

    def accuracy() -> tuple[float, list[Any]]:
        found = lm_eval.simple_evaluate(
            model=EvalModel(model, progress=False),
            tasks=[task],
            log_samples=True,
            bootstrap_iters=0,
        )
        return found["results"]["own"]["acc,none"], [s["resps"] for s in found["samples"]["own"]]

    plain, said = accuracy()
    assert 0 <= plain <= 1
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model))
    with model.edited(edit):
        _, edited = accuracy()
    assert edited != said
    assert accuracy() == (plain, said)
