"""Recipes that name models of the hub: revisions and adapters, from the offline cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models
import test_merge_adapters as adapters
from test_hub import offline

RUN = """
from lenswright.cli import main
print(main(["merge", %r, %r]))
"""


def cached(room: Path, repository: str, revisions: dict[str, Path]) -> None:
    """What huggingface_hub keeps of a repository: a commit for each revision."""
    home = room / "hub" / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    for number, (revision, folder) in enumerate(revisions.items()):
        commit = f"{number:040x}"
        shutil.copytree(folder, home / "snapshots" / commit)
        (home / "refs" / revision).write_text(commit)


@pytest.fixture
def room(tiny: Callable[..., Path], tmp_path: Path) -> Path:
    base = models.load(tiny("llama"))
    config = json.loads((tiny("llama") / "config.json").read_text())
    for i in range(3):
        generator = torch.Generator().manual_seed(i)
        near = {n: v + 0.1 * torch.randn(v.shape, generator=generator) for n, v in base.items()}
        models.save(tmp_path / f"m{i}", near, config)
    factors = adapters.named(adapters.UP, adapters.pair(base, adapters.UP, 4, 0))
    adapters.adapter(tmp_path / "lora", factors)
    cached(tmp_path, "me/model", {"main": tmp_path / "m0", "v2": tmp_path / "m1"})
    cached(tmp_path, "me/other", {"main": tmp_path / "m2"})
    cached(tmp_path, "me/lora", {"main": tmp_path / "m0", "tuned": tmp_path / "lora"})
    return tmp_path


def recipe(first: Any, second: Any) -> dict[str, Any]:
    entries = [
        {"model": name, "parameters": {"weight": weight}}
        for name, weight in ((first, 1.0), (second, 0.5))
    ]
    return {"merge_method": "linear", "models": entries}


def test_revisions_and_adapters(room: Path) -> None:
    """PATH@REVISION+LORA@REVISION as a text and as a mapping are what lies in those folders."""
    text = "me/model@v2+me/lora@tuned"
    mapping = {
        "model": {"path": "me/model", "revision": "v2"},
        "lora": {"path": "me/lora", "revision": "tuned"},
    }
    for name, model in {"text": text, "mapping": mapping}.items():
        path = room / f"{name}.yml"
        path.write_text(json.dumps(recipe(model, "me/other")))
        done = offline(room, RUN % (str(path), str(room / name)))
        assert done.stdout.splitlines()[-1:] == ["0"], done.stderr
    lw.merge(recipe(f"{room}/m1+{room}/lora", str(room / "m2")), room / "want")
    want = models.load(room / "want")
    for name in ("text", "mapping"):
        got = models.load(room / name)
        assert all(torch.equal(got[key], value) for key, value in want.items())
    record = json.loads((room / "text/lenswright.json").read_text())
    assert record["steps"][0]["models"] == [text, "me/other"]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("me/model@v3", "'me/model' is no folder here, and could not be had from the hub at"),
        ("me/nobody", "'me/nobody' is no folder here, and could not be had from the hub"),
        ("me/model@v2+me/other", "adapter_config.json"),
    ],
)
def test_what_is_not_there(first: str, said: str, room: Path) -> None:
    path = room / "recipe.yml"
    path.write_text(json.dumps(recipe(first, "me/other")))
    done = offline(room, RUN % (str(path), str(room / "out")))
    assert done.stdout.splitlines()[-1:] == ["2"], done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (room / "out").exists()
