"""Several detectors beside one another: a judge that is a model, scores by name, reasoning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
import wordy
from lenswright import cli
from lenswright.demo import language
from lenswright.directions import RefusalScore, TokenLogOdds
from lenswright.measuring.judges import ModelJudge
from lenswright.measuring.measurement import measure
from lenswright.prompting.prompts import Prompt

Tiny = Callable[..., Path]
QUESTION = "describe {prompt} {answer}"


@pytest.fixture(scope="module")
def model() -> lw.Model:
    return embedded.model()


def words(model: lw.Model, splits: lw.Splits) -> tuple[str, str]:
    refuse = language.REFUSAL_MARKERS[0].split()[0]
    return refuse, str(splits.test.positive[0].answer).split()[0]


def test_a_judge_is_the_log_odds_of_its_words(model: lw.Model) -> None:
    splits = embedded.splits(4, 4, 4)
    yes, no = words(model, splits)
    judge = ModelJudge(model, QUESTION, yes=[yes], no=[no])
    pairs = [(p.text, "{prompt} " + str(p.answer)) for p in splits.test.positive]
    ids = [model.tokenizer.encode_verbatim(word)[-1] for word in (yes, no)]
    expected = []
    for prompt, answer in pairs:
        row = torch.tensor(model.prompt_tokens([f"describe {prompt} {answer}"]))
        with torch.no_grad():
            logits = embedded.reference()(row).logits[0, -1]
        expected.append(float(logits[ids[0]] - logits[ids[1]]))
    assert judge.log_odds(pairs) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    prompts = list(splits.test.positive)
    verdicts = judge.all(list(zip(prompts, ["a kettle"] * len(prompts), strict=True)))
    assert verdicts == [judge(prompt, "a kettle") for prompt in prompts]
    with pytest.raises(ValueError, match=r"expected \{answer\} in it"):
        ModelJudge(model, "is {prompt} fine?")
    with pytest.raises(ValueError, match="share the tokens"):
        ModelJudge(model, QUESTION, yes=[yes], no=[yes])


def test_detectors_are_told_apart(model: lw.Model) -> None:
    splits = embedded.splits(8, 4, 6)
    yes, no = words(model, splits)
    edit = lw.edits.ablate(model, torch.ones(96, dtype=torch.float64))
    judge = ModelJudge(model, QUESTION, yes=[yes], no=[no])
    scores: dict[str, Any] = {
        "preference for refusing": RefusalScore(), "odds": TokenLogOdds([yes], [no]),
    }  # fmt: skip
    settings: dict[str, Any] = {
        "refusal": language.REFUSAL_MARKERS, "null": 1, "max_new_tokens": 8, "progress": False,
    }  # fmt: skip
    report = measure(model, edit, splits.test, score=scores, judges={"judge": judge}, **settings)
    effects = {effect["name"]: effect for effect in report.data["effects"]}
    for title in ("refusal", "opening refusal", "preference for refusing", "odds", "judge"):
        assert f"{title}, restricted" in effects, title
        assert len(effects[f"{title}, restricted"]["null"]) == 1
    assert effects["preference for refusing, restricted"]["before"] > 0
    assert effects["preference for refusing, restricted"]["better"] == "lower"
    assert effects["preference for refusing, benign"]["before"] < 0
    assert effects["odds, restricted"]["unit"] == "nats"
    assert effects["judge, restricted"]["unit"] == "rate"
    loss = effects["loss of the answers, benign"]
    assert loss["note"].startswith("perplexity 1")
    for taken in ("truth", "a, b"):
        with pytest.raises(ValueError, match="score has"):
            measure(model, edit, splits.test, score={taken: scores["odds"]}, **settings)


def test_a_preference_does_not_depend_on_the_length_of_answers(model: lw.Model) -> None:
    """Texts are judged as far as they are generated: a refusal that comes late slips past."""
    splits = embedded.splits(8, 4, 6)
    edit = lw.edits.ablate(model, torch.ones(96, dtype=torch.float64))
    own = RefusalScore().prepare(model, splits.select).own
    found = []
    for length in (1, 8):
        report = measure(
            model, edit, splits.test, refusal=["can not help"], null=0, progress=False,
            score={"preference for refusing": RefusalScore(own)}, max_new_tokens=length,
        )  # fmt: skip
        found.append({e["name"]: e["after"] for e in report.data["effects"]})
    for name in found[0]:
        if name.startswith("preference"):
            assert found[0][name] == found[1][name]
    assert found[0]["refusal, restricted"] < found[1]["refusal, restricted"]


def test_reasoning_is_measured_apart(tiny: Tiny, tmp_path: Path) -> None:
    """A model whose template knows reasoning: what it thinks is no part of what it answers."""
    folder = wordy.copy(tiny("llama"), tmp_path / "m")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("<bot>", "<think>").replace("<end>", "</think>"))
    model = lw.load(folder)
    texts = wordy.sentences(20, 3)
    splits = lw.Splits.from_parts(
        fit={"positive": texts[:2], "negative": texts[2:4]},
        select={"positive": texts[4:6], "negative": texts[6:8]},
        test={"positive": texts[8:14], "negative": texts[14:20]},
    )
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model, dtype=torch.float64))
    report = measure(
        model, edit, splits.test, refusal=["w1"], null=1, max_new_tokens=24, progress=False
    )
    effects = {effect["name"]: effect for effect in report.data["effects"]}
    said = model.generate(
        model.prompt_tokens([p.text for p in splits.test.positive]), 24, return_type="both"
    )
    thought = [one.reasoning or "" for one in said.reasoned]
    expected = [len(text.split()) for text in thought]
    found = effects["length of the reasoning, positive"]
    assert found["before"] == pytest.approx(sum(expected) / len(expected))
    told = sum("w1" in text for text in thought) / len(thought)
    assert effects["refusal in the reasoning, positive"]["before"] == told
    assert effects["refusal in the reasoning, positive"]["better"] == "same"
    assert "repeating reasoning, negative" in effects
    assert not any(name.startswith("KL(base‖edited) of") for name in effects)  # no mark was made
    assert any(thought), "nothing was thought, so nothing was tested"


def test_divergences_of_reasoning_and_answer(tiny: Tiny, tmp_path: Path) -> None:
    folder = wordy.copy(tiny("llama"), tmp_path / "m")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("<bot>", "<think>").replace("<end>", "</think>"))
    model, texts = lw.load(folder, dtype="float64"), wordy.sentences(12, 3)
    answers = ["w1 w2 </think> w3", "w4 </think> w5 w6 w7", "w8 w9", "w1 w2 w3 w4 </think> w5"]
    negative = [{"prompt": t, "answer": a} for t, a in zip(texts[8:], answers, strict=True)]
    splits = lw.Splits.from_parts(
        fit={"positive": texts[:1], "negative": texts[1:2]},
        select={"positive": texts[2:3], "negative": texts[3:4]},
        test={"positive": texts[4:8], "negative": negative},
    )
    edit = lw.edits.ablate(model, torch.ones(model.cfg.d_model, dtype=torch.float64))
    report = measure(model, edit, splits.test, null=1, max_new_tokens=4, progress=False)
    effects = {effect["name"]: effect for effect in report.data["effects"]}
    sums: list[float] = []
    parts: dict[str, list[float]] = {"reasoning": [], "answer": []}
    for text, answer in zip(texts[8:], answers, strict=True):
        given, ids = model.prompt_tokens([text])[0], model.tokenizer.encode_verbatim(answer)
        row = torch.tensor([given + ids])
        p = model(row)[0, len(given) - 1 : -1].log_softmax(-1)
        with model.edited(edit):
            q = model(row)[0, len(given) - 1 : -1].log_softmax(-1)
        kl = (p.exp() * (p - q)).sum(-1)
        sums.append(float(kl.mean()))
        if "</think>" in answer:
            end = answer.split().index("</think>") + 1
            parts["reasoning"].append(float(kl[:end].mean()))
            parts["answer"].append(float(kl[end:].mean()))
    assert effects["KL(base‖edited), negative"]["after"] == pytest.approx(sum(sums) / 4)
    for part, values in parts.items():
        found = effects[f"KL(base‖edited) of the {part}, negative"]
        assert found["after"] == pytest.approx(sum(values) / 3)
        assert (found["n"], len(found["null"]), found["better"]) == (3, 1, "lower")


def test_a_judge_from_the_shell(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TinyStories knows yes and no; what it says of refusals is worth little, and is not asked."""
    rows = embedded.rows("test", "restricted", 6)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    call = ["measure", str(embedded.MODEL), "--prompts", str(path), "--max-new-tokens", "8",
            "--json"]  # fmt: skip
    judge = str(data / "TinyStories-656K")
    assert cli.main([*call, "--judge", judge]) == 0
    effects = {e["name"]: e for e in json.loads(capsys.readouterr().out)["effects"]}
    found = effects["judge, restricted"]
    said = embedded.model().generate(
        embedded.model().prompt_tokens([row["prompt"] for row in rows]), 8, return_type="text"
    )
    own = ModelJudge(lw.load(judge))
    expected = own.all([
        (Prompt(row["prompt"]), text.strip()) for row, text in zip(rows, said, strict=True)
    ])  # fmt: skip
    assert found["before"] == sum(expected) / len(expected)
    assert cli.main([*call, "--judge", judge, "--question", "is it?"]) == 2
    assert "expected {prompt} in it" in capsys.readouterr().err
    assert cli.main([*call, "--question", "{prompt} {answer}"]) == 2
    assert "--question belongs to --judge" in capsys.readouterr().err
