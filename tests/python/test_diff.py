"""`lenswright diff`: numbers against NumPy, exit codes, and other files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from lenswright import _files
from lenswright.checkpoints.differing import diff
from lenswright.cli import main

FLOATS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
]  # fmt: skip


def save(path: Path, **tensors: torch.Tensor) -> Path:
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(300, 70, generator=generator, dtype=torch.float64).to(dtype)
    b = (a.double() + 0.1 * torch.randn(300, 70, generator=generator, dtype=torch.float64)).to(
        dtype
    )
    found = diff(save(tmp_path / "a.safetensors", w=a), save(tmp_path / "b.safetensors", w=b))
    (change,) = found.tensors
    x, y = (t.double().numpy().ravel() for t in (a, b))
    assert change.kind == "changed"
    d = change.distance
    assert d.relative == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-12)
    assert d.max_abs == np.abs(y - x).max()
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert d.cosine == pytest.approx(cosine, rel=1e-12)
    assert (d.elements, d.different) == (21_000, (x != y).sum())


def test_other_types_are_only_same_or_changed(tmp_path: Path) -> None:
    a = save(tmp_path / "a.safetensors", i=torch.arange(4), same=torch.ones(2).bool())
    b = save(tmp_path / "b.safetensors", i=torch.zeros(4).long(), same=torch.ones(2).bool())
    found = {t.name: t for t in diff(a, b).tensors}
    assert (found["i"].kind, found["i"].distance) == ("changed", None)
    assert found["same"].kind == "same"


def test_a_checkpoint_and_itself(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(data / "TinyStories-656K")
    assert main(["diff", path, path]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["diff", path, path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is True
    assert found["counts"]["same"] == 20


def test_sharding_is_no_difference(data: Path, tmp_path: Path) -> None:
    one = data / "stories260K-hf"
    shutil.copytree(one, tmp_path / "two")
    tensors = safetensors.torch.load_file(one / "model.safetensors")
    (tmp_path / "two" / "model.safetensors").unlink()
    places = {}
    for k in range(2):
        part = {name: t for i, (name, t) in enumerate(tensors.items()) if i % 2 == k}
        safetensors.torch.save_file(part, tmp_path / "two" / f"{k}.safetensors")
        places |= dict.fromkeys(part, f"{k}.safetensors")
    index = tmp_path / "two" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert diff(one, tmp_path / "two").same


def test_every_kind_of_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    save(tmp_path / "a" / "model.safetensors", w=torch.ones(2), t=torch.ones(2), s=torch.ones(2),
         gone=torch.ones(1), nan=torch.tensor([float("nan"), 1.0]))  # fmt: skip
    save(tmp_path / "b" / "model.safetensors", w=torch.zeros(2), t=torch.ones(2).half(),
         s=torch.ones(1, 2), new=torch.ones(1), nan=torch.tensor([1.0, float("nan")]))  # fmt: skip
    (tmp_path / "a" / "config.json").write_text('{"x": 1, "y": {"z": [1]}}')
    (tmp_path / "b" / "config.json").write_text('{"x": 2, "y": {"z": [1]}, "v": null}')
    (tmp_path / "a" / "tokenizer.json").write_text("1")
    (tmp_path / "b" / "tokenizer.json").write_text("2")
    (tmp_path / "b" / "chat_template.jinja").write_text("")
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    kinds = {t["name"]: t["kind"] for t in found["tensors"]}
    assert kinds == {
        "w": "changed", "t": "dtype", "s": "shape", "gone": "only_a", "new": "only_b",
        "nan": "changed",
    }  # fmt: skip
    rows = {t["name"]: t for t in found["tensors"]}
    assert rows["t"]["max_abs"] == 0
    assert rows["nan"]["not_a_number"] == 2
    assert rows["nan"]["different"] == 2
    assert found["config"] == [
        {"key": "x", "a": "1", "b": "2"}, {"key": "v", "a": None, "b": "null"},
    ]  # fmt: skip
    assert found["files"] == [
        {"name": "chat_template.jinja", "kind": "only_b"},
        {"name": "tokenizer.json", "kind": "changed"},
    ]
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    text = capsys.readouterr().out
    for part in ("relative 1, max 1, cosine 0", "F32 [2] -> F16 [2]", "config.json x: 1 -> 2"):
        assert part in text


def test_infinite_ratio_is_null_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "a.safetensors", w=torch.zeros(2))
    b = save(tmp_path / "b.safetensors", w=torch.ones(2))
    assert main(["diff", str(a), str(b), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["tensors"][0]["relative"] is None


def test_progress_and_cancel(tmp_path: Path) -> None:
    a = save(tmp_path / "a.safetensors", w=torch.ones(1_000_000))
    b = save(tmp_path / "b.safetensors", w=torch.zeros(1_000_000))
    seen: list[tuple[int, int]] = []
    diff(a, b, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4_000_000, 4_000_000)
    with pytest.raises(_files.Cancelled):
        diff(a, b, lambda done, total: False)


@pytest.mark.parametrize("args", [["absent"], [], ["--threads", "-1"], ["--thread", "2"]])
def test_bad_calls(args: list[str], data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(data / "stories260K-hf")
    missing = args in (["absent"], [])
    assert main(["diff", path, *([] if missing else [path]), *args]) == 2
    assert capsys.readouterr().err.count("\n") == 1
