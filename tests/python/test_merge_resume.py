"""After kill -9 a merge goes on where it was, and the bytes are those of one that never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models
from lenswright import _files
from lenswright.merging import recipes, stages
from test_merge_methods import ALL, recipe_of


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A recipe of two models of twelve tensors."""
    config = models.CONFIG | {"num_hidden_layers": 12, "layer_types": ["full_attention"] * 12}
    for i in range(2):
        torch.manual_seed(i)
        big = {f"model.layers.{n}.w.weight": torch.randn(1024, 1031) for n in range(12)}
        models.save(tmp_path / f"m{i}", big, config)
    (tmp_path / "recipe.yml").write_text(json.dumps(recipe(tmp_path)))
    return tmp_path


def recipe(room: Path) -> dict[str, Any]:
    return {
        "merge_method": "ties", "base_model": str(room / "m0"),
        "models": [{"model": str(room / "m1"), "parameters": {"weight": 0.7, "density": 0.4}}],
    }  # fmt: skip


def hidden(room: Path) -> list[Path]:
    return [path for path in room.iterdir() if path.name.startswith(".out.partial-")]


def kill(room: Path, recipe: str, lines: int, hiding: Callable[[], list[Path]]) -> None:
    """Begin a merge, kill it once a journal in one of those folders has so many lines."""
    command = [sys.executable, "-m", "lenswright", "merge", recipe, "out", "-j", "1"]
    process = subprocess.Popen(command, cwd=room)
    while process.poll() is None:
        journals = [path / "journal.partial" for path in hiding()]
        if journals and journals[0].exists() and journals[0].read_text().count("\n") >= lines:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (room / "out").exists(), "it was done before it could be killed"


def killed(room: Path, lines: int) -> Path:
    """Begin a merge, kill it once its journal has so many lines; the hidden folder."""
    kill(room, "recipe.yml", lines, lambda: hidden(room))
    (left,) = hidden(room)
    return left


def test_it_goes_on(room: Path) -> None:
    lw.merge(room / "recipe.yml", room / "whole")
    left = killed(room, 3)
    done = len((left / "journal.partial").read_text().splitlines())
    assert 3 <= done < 12
    written = {path.name: path.stat().st_ino for path in left.glob("*.safetensors.partial")}
    seen: list[int] = []
    document = json.dumps(recipe(room))
    inputs = [(str(room / name), room / name) for name in ("m1", "m0")]
    plan = _files.plan_merge(document, "recipe", inputs)
    plan.run(room / "out", [], lambda now, _total: seen.append(now), 2, True)
    assert models.hashes(room / "out") == models.hashes(room / "whole")
    assert not hidden(room)
    files = {
        f"{path.name}.partial": path.stat().st_ino for path in (room / "out").glob("*.safetensors")
    }
    assert files == written  # the same file, gone on with
    assert not list((room / "out").glob("*.partial"))


def test_what_was_spoilt_is_done_again(room: Path) -> None:
    lw.merge(room / "recipe.yml", room / "whole")
    left = killed(room, 4)
    (path,) = left.glob("*.safetensors.partial")
    data = bytearray(path.read_bytes())
    data[-5 - 4 * 1024 * 1031 * 11] ^= 1  # in the first tensor
    path.write_bytes(data)
    with (left / "journal.partial").open("a") as journal:
        journal.write("11 123")  # a line that was never finished
    lw.merge(room / "recipe.yml", room / "out", resume=True)
    assert models.hashes(room / "out") == models.hashes(room / "whole")


def test_another_merge_is_not_gone_on_with(room: Path) -> None:
    left = killed(room, 2)
    other = recipe(room) | {"parameters": {"lambda": 0.5}}
    lw.merge(other, room / "out", resume=True)
    lw.merge(other, room / "whole")
    assert models.hashes(room / "out") == models.hashes(room / "whole")
    assert hidden(room) == [left]


def test_without_resume_it_begins_anew(room: Path) -> None:
    killed(room, 2)
    lw.merge(room / "recipe.yml", room / "out")
    lw.merge(room / "recipe.yml", room / "whole")
    assert models.hashes(room / "out") == models.hashes(room / "whole")
    assert not hidden(room)


def test_interrupted_with_resume_it_stays(room: Path) -> None:
    document = json.dumps(recipe(room))
    inputs = [(str(room / name), room / name) for name in ("m1", "m0")]
    plan = _files.plan_merge(document, "recipe", inputs)
    with pytest.raises(lw.Cancelled):
        plan.run(room / "out", [], lambda now, total: now < total // 2, 1, True)
    assert len(hidden(room)) == 1
    with pytest.raises(lw.CheckpointError, match="never finished"):
        lw.Checkpoint(hidden(room)[0])
    lw.merge(recipe(room), room / "out", resume=True)
    lw.merge(recipe(room), room / "whole")
    assert models.hashes(room / "out") == models.hashes(room / "whole")
    assert not hidden(room)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("four")
    base = models.random_tensors(0, torch.bfloat16)
    tensors = [base, *(models.random_tensors(i, torch.bfloat16, base) for i in (1, 2, 3))]
    return [models.save(folder / str(i), one) for i, one in enumerate(tensors)]


@pytest.mark.parametrize("label", ALL)
def test_every_method_goes_on(label: str, four: list[Path], tmp_path: Path) -> None:
    """Stopped midway and gone on with, by another number of threads: the same bytes."""
    method, case = ALL[label]
    whole = recipe_of(method, case, four)
    lw.merge(whole, tmp_path / "whole", threads=1, seed=3)
    documents = recipes.read(whole)
    names = documents[0].models()
    plan = _files.plan_merge(
        documents[0].json, "recipe", [(n, Path(n)) for n in names], "strict", 3, 5 * 10**9
    )
    file = four[1] / "model.safetensors"
    data, when = file.read_bytes(), file.stat()

    def spoil(now: int, total: int) -> bool:
        if now < total:  # what lies at the end of the file cannot be read any more
            os.truncate(file, len(data) - 2)
        return True

    try:
        with pytest.raises(lw.CheckpointError, match="became shorter"):
            plan.run(tmp_path / "out", [], spoil, 1, True)
    finally:
        file.write_bytes(data)
        os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    (left,) = hidden(tmp_path)
    done = (left / "journal.partial").read_text().count("\n")
    assert 0 < done < len(models.load(four[0]))
    lw.merge(whole, tmp_path / "out", threads=2, seed=3, resume=True)
    assert models.hashes(tmp_path / "out") == models.hashes(tmp_path / "whole")
    assert not hidden(tmp_path)


def test_two_at_once(room: Path) -> None:
    document = json.dumps(recipe(room))
    inputs = [(str(room / name), room / name) for name in ("m1", "m0")]
    plan, other = (_files.plan_merge(document, "recipe", inputs) for _ in range(2))
    said: list[str] = []

    def meanwhile(now: int, total: int) -> bool:
        if not said:
            try:
                other.run(room / "out", [], None, 1)
            except BlockingIOError as error:
                said.append(str(error))
        return True

    plan.run(room / "out", [], meanwhile, 1)
    assert "another process" in said[0]
    assert (room / "out" / "model.safetensors").exists()


def staged(room: Path) -> list[dict[str, Any]]:
    """A first stage of two models, and a last one of it and the base."""
    last = {
        "merge_method": "linear", "models": [
            {"model": name, "parameters": {"weight": 0.5}} for name in ("first", str(room / "m0"))
        ],
    }  # fmt: skip
    return [recipe(room) | {"name": "first"}, last]


def stage_folders(room: Path) -> list[Path]:
    return [path for path in room.iterdir() if path.name.startswith(".out.stages-")]


def killed_in_stage(room: Path, lines: int, last: bool) -> Path:
    """Begin a merge of two stages, kill it in one; the folder of its stages."""

    def hiding() -> list[Path]:
        inside = [path for folder in stage_folders(room) for path in folder.iterdir()]
        return hidden(room) if last else [path for path in inside if path.name.startswith(".")]

    kill(room, "stages.yml", lines, hiding)
    (left,) = stage_folders(room)
    return left


@pytest.mark.parametrize("last", [False, True])
def test_stages_go_on_where_they_were(room: Path, last: bool) -> None:
    text = "\n---\n".join(json.dumps(document) for document in staged(room))
    (room / "stages.yml").write_text(text)
    lw.merge(room / "stages.yml", room / "whole")
    left = killed_in_stage(room, 3, last)
    (stage,) = left.iterdir()
    assert stage.name.startswith(".") != last  # the first is whole once the last has begun
    before = {path.stat().st_ino for path in stage.glob("*.safetensors*")}
    if not last:
        assert 3 <= len((stage / "journal.partial").read_text().splitlines()) < 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.shutil, "rmtree", lambda *_, **__: None)  # to look at what it leaves
        lw.merge(room / "stages.yml", room / "out", resume=True)
    assert {path.stat().st_ino for path in left.glob("*/*.safetensors")} == before
    assert not hidden(room)
    assert models.hashes(room / "out") == models.hashes(room / "whole")


def test_stages_begin_anew_without_resume(room: Path) -> None:
    text = "\n---\n".join(json.dumps(document) for document in staged(room))
    (room / "stages.yml").write_text(text)
    left = killed_in_stage(room, 1, last=True)
    (spoilt,) = left.glob("*/model.safetensors")
    spoilt.write_bytes(b"")  # nobody may read it
    lw.merge(room / "stages.yml", room / "out")
    lw.merge(room / "stages.yml", room / "whole")
    assert models.hashes(room / "out") == models.hashes(room / "whole")
    assert not stage_folders(room)
