"""What a commit would take, told beforehand: writers, bytes, seconds, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import direction, file_hashes, stored_as
from lenswright import cli

Tiny = Callable[..., Path]


def weights_of(folder: Path) -> int:
    return sum(t.nbytes for f in folder.glob("*.safetensors") for t in load_file(f).values())


@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2"])
def test_the_plan_is_what_is_done(tiny: Tiny, tmp_path: Path, name: str) -> None:
    source = stored_as(tiny(name), tmp_path / "in", "bfloat16", shards=2)
    model = lw.load(source)
    edit = lw.edits.ablate(model, direction(model))
    plan = edit.plan(source, tmp_path / "out")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["in"]
    done = edit.commit(source, tmp_path / "out", progress=False)
    assert plan.writers == len(edit.writers())
    assert plan.tensors == len(done.changed)
    assert plan.written_bytes == weights_of(tmp_path / "out")
    sizes = {n: t.nbytes for f in source.glob("*.safetensors") for n, t in load_file(f).items()}
    assert plan.edited_bytes == sum(sizes[n] for n in done.changed)
    assert plan.read_bytes == plan.written_bytes + plan.edited_bytes
    assert plan.unties == (done.added is not None)
    assert 0 < plan.seconds < 60
    assert plan.fits
    assert f"{plan.writers}, in {plan.tensors} stored tensors" in str(plan)
    assert plan.to_json()["target"] == str(tmp_path / "out")


def test_a_plan_in_place_changes_nothing(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)))
    before = file_hashes(source)
    assert edit.plan(source, in_place=True).target == source
    assert edit.plan(source, in_place=True).memory_bytes > edit.plan(source, "x").memory_bytes
    assert file_hashes(source) == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["in"]


def test_what_a_commit_refuses_a_plan_refuses(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    edit = lw.edits.ablate(lw.load(source), direction(lw.load(source)))
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there"):
        edit.plan(source, tmp_path / "there")
    with pytest.raises(ValueError, match="lies inside the input"):
        edit.plan(source, source / "out")
    with pytest.raises(FileNotFoundError):
        edit.plan(source, tmp_path / "no" / "out")
    with pytest.raises(ValueError, match="target is None"):
        edit.plan(source)
    (source / ".notes").write_text("mine")
    with pytest.raises(ValueError, match=r"holds '\.notes'"):
        edit.plan(source, in_place=True)
    tensors = load_file(source / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"] += 1
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"has SHA-256 .* but the edit was made for"):
        edit.plan(source, tmp_path / "out")


MEASURED = """
import json, sys, threading
from pathlib import Path
import torch
import lenswright as lw

def private():
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * int(text.split("Anonymous:")[1].split()[0])

edit, journal = lw.edits.load(sys.argv[2]), sys.argv[4] == "journal"
planned = edit.plan(sys.argv[1], sys.argv[3], journal=journal).memory_bytes
base, peak, stop = private(), [0], threading.Event()

def watch():
    while not stop.wait(0.002):
        peak[0] = max(peak[0], private() - base)

thread = threading.Thread(target=watch)
thread.start()
edit.commit(sys.argv[1], sys.argv[3], progress=False, journal=journal)
stop.set()
thread.join()
print(json.dumps([planned, peak[0]]))
"""


@pytest.mark.parametrize("journal", ["journal", "none"])
def test_no_more_memory_is_taken_than_is_said(tmp_path: Path, journal: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    torch.manual_seed(0)
    tensors = {f"layers.{i}.out": torch.randn(1024, 4096).bfloat16() for i in range(12)}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text("{}")
    edit = lw.edits.ablate_tensors(source, torch.randn(1024), "layers.*", axis="rows")
    edit.save(tmp_path / "edit.safetensors")
    call = [str(source), str(tmp_path / "edit.safetensors"), str(tmp_path / "out"), journal]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *call], capture_output=True, text=True, check=True
    )
    planned, taken = json.loads(done.stdout.splitlines()[-1])
    assert taken <= planned
    assert planned < 200e6
    assert planned < 100_663_296  # the tensors' own bytes: it does not grow with them


def test_dry_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import embedded

    for side, kind in (("a", "restricted"), ("b", "benign")):
        rows = embedded.rows("test", kind, 30)
        (tmp_path / f"{side}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    given = ["--positive", str(tmp_path / "a.jsonl"), "--negative", str(tmp_path / "b.jsonl")]
    before = sorted(f.name for f in tmp_path.iterdir())

    def said(*more: str) -> tuple[int, Any]:
        code = cli.main(["ablate", str(embedded.MODEL), *given, *more])
        return code, capsys.readouterr()

    code, told = said("--out", str(tmp_path / "out"), "--dry-run")
    assert code == 0
    for word in ("writers  9", "bytes    ", "seconds  about", "memory   "):
        assert word in told.out
    code, told = said("--out", str(tmp_path / "out"), "--dry-run", "--json", "--method",
                      "condition")  # fmt: skip
    assert code == 0
    assert json.loads(told.out)["writers"] == 8
    assert sorted(f.name for f in tmp_path.iterdir()) == before
    assert said("--dry-run")[0] == 2
    assert said("--out", str(tmp_path / "out"), "--dry-run", "--writers", "atention")[0] == 2
