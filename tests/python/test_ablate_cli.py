"""`lenswright ablate` on a real checkpoint and real contrasts, and on the embedded model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import embedded
import lenswright as lw
from editing import file_hashes
from lenswright import cli
from lenswright.demo import language

WORDS = ["--positive-words", " happy", " glad", "--negative-words", " sad", " cried"]


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("ablate") / "edited"
    contrast = data / "contrast"
    code = cli.main([
        "ablate", str(data / "TinyStories-656K"), "--positive", str(contrast / "happiness.json"),
        "--negative", str(contrast / "sadness.json"), "--positions", "last", *WORDS, "--text",
        str(data / "text" / "tinyshakespeare.txt"), "--own", "8", "--null", "20", "--out", str(out),
    ])  # fmt: skip
    return code, json.loads((out.with_name("edited-report") / "report.json").read_text()), out


def test_real_input_is_measured_beside_its_null(done: tuple[int, dict[str, Any], Path]) -> None:
    code, report, _ = done
    assert code == 0
    effects = {effect["name"]: effect for effect in report["effects"]}
    assert set(effects) == {
        "KL(base‖edited), negative", "KL(edited‖base), negative", "score, positive",
        "score, negative", "loss, tinyshakespeare.txt", "loss, own text",
        "first-token KL(base‖edited), negative", "loss of the answers, negative",
        "agreement, negative",
    }  # fmt: skip
    assert all(len(effect["null"]) == 20 for effect in effects.values())
    assert all("interval" in e for name, e in effects.items() if not name.startswith("loss"))
    assert report["run"]["prompts"]["test"] >= 100
    assert report["separation"]["split_half"][0][1] is not None


def test_the_committed_folder_is_the_edit(
    done: tuple[int, dict[str, Any], Path], data: Path
) -> None:
    from transformers import AutoModelForCausalLM

    _, report, out = done
    assert [row["difference"] <= row["demand"] for row in report["equivalence"]["comparisons"]] == (
        [True, True, True]
    )
    reference = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    tokens = torch.tensor([[1, 80, 147, 201, 282, 57]])
    with torch.no_grad():
        theirs, plain = reference(tokens).logits, lw.load(data / "TinyStories-656K")(tokens)
    ours = lw.load(out)(tokens)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5
    assert float((ours - plain).abs().max() / plain.abs().max()) > 1e-3


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_refusal_is_taken_out_of_the_embedded_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    positive = write(tmp_path / "a.jsonl", embedded.rows("test", "restricted", 120))
    # Other nouns with the same verbs, and the same nouns with other verbs.
    contrast = embedded.rows("test", "benign", 120) + embedded.rows("test", "pseudo", 120)
    negative = write(tmp_path / "b.jsonl", contrast)
    code = cli.main([
        "ablate", str(embedded.MODEL), "--positive", positive, "--negative", negative, "--null",
        "2", "--max-new-tokens", "12", "--refusal", *language.REFUSAL_MARKERS, "--json",
        "--report", str(tmp_path / "page"),
    ])  # fmt: skip
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    refusal = next(e for e in report["effects"] if e["name"] == "refusal, restricted")
    assert refusal["before"] >= 0.9
    assert refusal["after"] <= 0.2
    assert min(refusal["null"]) >= 0.7
    assert "equivalence" not in report
    assert {p.name for p in (tmp_path / "page").iterdir()} == {"report.html", "report.json"}
    assert {p.name for p in tmp_path.iterdir()} == {"a.jsonl", "b.jsonl", "page"}


@pytest.mark.parametrize("method", ["projected", "row_norm", "condition"])
def test_other_methods(tmp_path: Path, method: str) -> None:
    from lenswright import demo
    from lenswright.story import Plan, tell

    model = lw.load(demo.MODEL)
    plan = Plan(method=method, null=2, null_prompts=4, refusal=demo.REFUSAL_MARKERS, progress=False)
    told = tell(model, demo.splits(), plan, tmp_path / "out")
    assert told.edit.provenance["method"] == method
    assert told.baked is not None
    assert told.baked.bytes_equal
    assert max(told.baked.differences.values()) < 1e-5
    effects = {effect["name"]: effect["after"] for effect in told.report.data["effects"]}
    assert effects["refusal, restricted"] < 0.5
    if method == "condition":
        assert len(told.edit.provenance["balances"]) == 6
    with pytest.raises(ValueError, match=r"method is 'rowoblique', .* did you mean 'row_oblique'"):
        tell(model, demo.splits(), Plan(method="rowoblique", progress=False), None)


def prompts(folder: Path) -> list[str]:
    positive = write(folder / "a.jsonl", embedded.rows("test", "restricted", 60))
    negative = write(folder / "b.jsonl", embedded.rows("test", "benign", 60))
    return ["--positive", positive, "--negative", negative, "--null", "2", "--max-new-tokens", "4",
            "--refusal", *language.REFUSAL_MARKERS]  # fmt: skip


def test_in_place_is_the_same_folder_with_a_journal(tmp_path: Path) -> None:
    source = tmp_path / "model"
    shutil.copytree(embedded.MODEL, source)
    before, given = file_hashes(source), prompts(tmp_path)
    assert cli.main(["ablate", str(source), *given, "--journal", "--out", str(tmp_path / "x")]) == 0
    assert file_hashes(source) == before
    assert cli.main(["ablate", str(source), *given, "--in-place"]) == 0
    assert file_hashes(source) == file_hashes(tmp_path / "x")
    assert (tmp_path / "model-report" / "report.json").is_file()
    assert cli.main(["revert", str(source), "--out", str(tmp_path / "back")]) == 0
    assert file_hashes(tmp_path / "back") == before


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--in-place", "--out", "x"], "--in-place writes no other folder"),
     (["--in-place"], "holds '.notes'")],
)  # fmt: skip
def test_in_place_is_refused_before_anything_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    source = tmp_path / "model"
    shutil.copytree(embedded.MODEL, source)
    (source / ".notes").write_text("mine")
    before, given = file_hashes(source), prompts(tmp_path)
    assert cli.main(["ablate", str(source), *given, *more]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""
    assert file_hashes(source) == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "model"]
    assert cli.main(["ablate", "no/such/model", *given, "--in-place"]) == 2
    assert "no/such/model is no folder" in capsys.readouterr().err


def test_killed_in_place_the_model_is_old_or_new(tmp_path: Path) -> None:
    source = tmp_path / "model"
    shutil.copytree(embedded.MODEL, source)
    given, old = prompts(tmp_path), file_hashes(source)
    command = [sys.executable, "-m", "lenswright", "ablate", str(source), *given, "--in-place"]
    seen = []
    for wait in (0.0, 0.005, 0.02):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:  # what is left is the commit and its check
            if line.startswith("measure  KL(base"):
                break
        time.sleep(wait)
        process.kill()
        process.communicate()
        found = file_hashes(source)
        if found != old:
            lw.edits.revert(source, tmp_path / "back", progress=False)
            assert file_hashes(tmp_path / "back") == old
            shutil.rmtree(source)
            (tmp_path / "back").rename(source)
        seen.append(found == old)
    assert seen[0]
    assert cli.main(["ablate", str(source), *given, "--in-place"]) == 0
    assert not [f for f in tmp_path.glob(".*") if f.is_dir()]
