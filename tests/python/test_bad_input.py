"""Input that must not pass: each case is one clear line, and nothing is written."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import embedded
import lenswright as lw
import wordy
from editing import direction, file_hashes, stored_as
from lenswright import cli
from lenswright.measuring.intervals import check_margin, wilson

Tiny = Callable[..., Path]
Prompts = list[str]


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    """Two good files of prompts as arguments."""
    arguments: Prompts = []
    for name, kind in (("positive", "restricted"), ("negative", "benign")):
        path = tmp_path / f"{name}.jsonl"
        rows = embedded.rows("test", kind, 20)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments += [f"--{name}", str(path)]
    return arguments


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """refused(arguments): the one line of `ablate --out`, which must leave every file as it was."""

    def run(more: list[str]) -> str:
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        call = ["ablate", str(embedded.MODEL), *more, "--out", str(tmp_path / "out")]
        assert cli.main(call) == 2
        told = capsys.readouterr()
        assert len(told.err.splitlines()) == 1, told.err
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
        assert not (tmp_path / "out").exists()
        return told.err

    return run


def test_prompt_files_with_one_class(
    refused: Callable[[list[str]], str], prompts: Prompts, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("statement,label\n" + "".join(f"make a kettle {i},0\n" for i in range(20)))
    line = refused(["--positive", str(table), *prompts[2:]])
    assert "labels.csv" in line
    assert "label" in line
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    assert "empty.txt: has no prompts" in refused([*prompts[:2], "--negative", str(empty)])


def test_duplicates_across_splits(
    refused: Callable[[list[str]], str], prompts: Prompts, tmp_path: Path
) -> None:
    twice = tmp_path / "twice.jsonl"
    twice.write_text(Path(prompts[1]).read_text() + Path(prompts[3]).read_text())
    said = refused([*prompts[:2], "--negative", str(twice)])
    assert "every prompt in one part and one class only" in said
    rows = [f"prompt {i}" for i in range(4)]
    part = {"positive": rows[:1], "negative": rows[1:2]}
    with pytest.raises(ValueError, match="every prompt in one part and one class only"):
        lw.Splits.from_parts(fit=part, select=part, test=part)


def test_fewer_prompts_than_an_interval_takes(
    refused: Callable[[list[str]], str], prompts: Prompts
) -> None:
    line = refused([*prompts, "--margin", "0.05"])
    assert "margin is 0.05, which takes 381 prompts of a class, but there are " in line
    assert "margin is 0.7, expected a number between 0 and 0.5" in refused(
        [*prompts, "--margin", "0.7"]
    )
    model, splits = embedded.model(), embedded.splits(4, 4, 12)
    with pytest.raises(ValueError, match=r"takes 20 prompts of a class, but there are 12 positive"):
        lw.measure(model, lw.edits.ablate(model, torch.ones(96)), splits.test, margin=0.205)


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.205, 0.31, 0.49])
def test_the_margin_is_that_of_the_widest_interval(margin: float) -> None:
    def widest(n: int) -> float:
        return max(high - low for low, high in (wilson(k, n) for k in range(n + 1))) / 2

    needed = next(n for n in range(1, 2000) if _accepted(margin, n))
    # Of odd n no count is a half, and the widest interval a little narrower than one at a half.
    assert widest(needed) <= margin + 1e-12
    even = needed - 1 if needed % 2 else needed - 2
    assert even < 1 or widest(even) > margin


def _accepted(margin: float, n: int) -> bool:
    try:
        check_margin(margin, {"positive": n})
    except ValueError:
        return False
    return True


def test_directions_of_another_model(tiny: Tiny, tmp_path: Path) -> None:
    folder = wordy.copy(tiny("llama"), tmp_path / "m")
    model, demo = lw.load(folder), embedded.model()
    stats = demo.collect(embedded.splits(8, 4, 4).fit, points="blocks.2.hook_resid_pre",
                         positions="last", progress=False)  # fmt: skip
    found = lw.directions.difference_of_means(stats)
    for make in (
        lambda: lw.edits.ablate(model, found),
        lambda: lw.edits.add(model, found, 1),
        lambda: lw.edits.affine(model, found, torch.zeros(30)),
    ):
        with pytest.raises(ValueError, match=r"was made with .* \(4 layers of 96\), expected this"):
            make()
    with pytest.raises(ValueError, match=r"96.*expected.*30"):
        lw.edits.ablate(model, found.vector(found.points[0], found.positions[0]))
    # Of the same sizes it is told by config.json and weights; a bare vector says that it is meant.
    config = json.loads((Path(embedded.MODEL) / "config.json").read_text())
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in Path(embedded.MODEL).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    lw.edits.ablate(lw.load(copy), found)
    (copy / "config.json").write_text(json.dumps(config | {"bos_token_id": 0}))
    with pytest.raises(ValueError, match=r"whose config\.json holds other settings than"):
        lw.edits.ablate(lw.load(copy), found)
    (copy / "config.json").write_bytes((Path(embedded.MODEL) / "config.json").read_bytes())
    vector = found.vector(found.points[0], found.positions[0])
    lw.edits.ablate(demo, vector, strength=0.1).commit(copy, in_place=True, progress=False)
    for make in (
        lambda: lw.edits.ablate(lw.load(copy), found), lambda: lw.edits.add(lw.load(copy), found, 1)
    ):  # fmt: skip
        with pytest.raises(ValueError, match="whose weights are others than those of copy"):
            make()
    lw.edits.ablate(lw.load(copy), vector)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none(
    refused: Callable[[list[str]], str], prompts: Prompts, tiny: Tiny, value: float
) -> None:
    assert f"strength is {value}, expected a finite" in refused(
        [*prompts, "--strength", f"{value}"]
    )
    model = lw.load(tiny("llama"))
    bad = torch.ones(30)
    bad[7] = value
    calls: list[Callable[[], Any]] = [
        lambda: lw.edits.ablate(model, bad), lambda: lw.edits.add(model, bad, 1),
        lambda: lw.edits.ablate(model, torch.ones(30), strength=value),
        lambda: lw.edits.ablate(model, torch.ones(30), against=bad),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match="finite"):
            call()


@pytest.mark.parametrize("strength", ["1e30", "-1001", "1e300"])
def test_strengths_out_of_range(
    refused: Callable[[list[str]], str], prompts: Prompts, tiny: Tiny, strength: str
) -> None:
    told = "expected a number between -1000 and 1000"
    assert told in refused([*prompts, "--strength", strength])
    assert told in refused([*prompts, "--strength", strength, "--method", "condition"])
    model, v, w = lw.load(tiny("llama")), torch.ones(30), float(strength)
    for given in (w, {1: w}, {"mlp": w}):
        with pytest.raises(ValueError, match=told):
            lw.edits.ablate(model, v, strength=given)
    with pytest.raises(ValueError, match=f"max_weight is .*{told}"):
        lw.edits.Kernel(1, 1, max_weight=w)
    lw.edits.ablate(model, v, strength=1000.0)


@pytest.mark.parametrize(
    ("dtype", "length"), [("float16", 1e6), ("bfloat16", 1e39), ("float32", 1e39)]
)
def test_weights_beyond_their_type_are_not_written(
    tiny: Tiny, tmp_path: Path, dtype: str, length: float
) -> None:
    """Rounded they would be infinite."""
    source = stored_as(tiny("gpt2"), tmp_path / "in", dtype)
    model = lw.load(source)
    before = file_hashes(source)
    edit = lw.edits.add(model, length * torch.ones(model.cfg.d_model, dtype=torch.float64), 1)
    for call in (
        lambda: edit.commit(source, tmp_path / "out", progress=False),
        lambda: edit.commit(source, in_place=True, progress=False), lambda: edit.apply(model),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"tensor 'transformer\.h\.0\..*' *: .* beyond"):
            call()
    assert file_hashes(source) == before
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    assert not edit.is_applied(model)


def test_edits_that_end_in_no_numbers_are_told_and_not_written(tmp_path: Path) -> None:
    from lenswright.editing.baking import bake

    model, splits = embedded.model(), embedded.splits(4, 4, 6)
    edit = lw.edits.from_factors(model, {
        "blocks.1.mlp.W_out": {"S": torch.full((96,), 1e300, dtype=torch.float64)},
        "blocks.2.mlp.W_out": {"S": torch.full((96,), 1e300, dtype=torch.float64)},
    })  # fmt: skip
    with pytest.raises(ValueError, match=r"no numbers|is nan"):
        lw.measure(model, edit, splits.test, null=0, max_new_tokens=2, progress=False)
    with pytest.raises(ValueError, match="logits are no numbers"):
        bake(model, edit, tmp_path / "out", [[1, 2, 3]])
    assert not list(tmp_path.iterdir())


def _other(room: Path) -> Path:
    """The same architecture and sizes with other weights."""
    folder = Path(shutil.copytree(room / "in", room / "another"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.self_attn.o_proj.weight"] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_edits_and_adapters_for_another_base(tiny: Tiny, tmp_path: Path) -> None:
    folder = stored_as(tiny("llama"), tmp_path / "in", "float32")
    model = lw.load(folder)
    edit = lw.edits.ablate(model, direction(model))
    tuned = lw.load(stored_as(tiny("llama"), tmp_path / "tuned", "float32"))
    with torch.no_grad():
        tuned.parameters()["model.layers.1.mlp.down_proj.weight"][0, 0] += 1
    adapter = edit.to_lora(tmp_path / "adapter").folder
    assert lw.edits.from_lora(model, adapter).bases == edit.bases
    with pytest.raises(ValueError, match=r"made for another base: tensor '.*' has SHA-256"):
        lw.edits.from_lora(lw.load(_other(tmp_path)), adapter)
    lw.edits.from_lora(lw.load(tmp_path / "another"), adapter, other_base=True)
    shutil.rmtree(adapter)
    shutil.rmtree(tmp_path / "another")
    before = file_hashes(tmp_path / "tuned")
    for call in (
        lambda: edit.to_lora(tmp_path / "adapter", tuned), lambda: edit.apply(tuned),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"has SHA-256 .*, but the edit was made for"):
            call()
    other = stored_as(tiny("llama"), tmp_path / "other", "float16")
    before |= file_hashes(other)
    with pytest.raises((ValueError, lw.CheckpointError), match="the edit was made for"):
        edit.commit(other, tmp_path / "out", progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "other", "tuned"]
    assert file_hashes(tmp_path / "tuned") | file_hashes(other) == before


def test_refusals_that_read_like_none_are_told(tmp_path: Path) -> None:
    """A model that refuses nothing: what it says most often is no refusal."""
    from lenswright.story import Plan, tell

    rows = embedded.rows("test", "benign", 40)
    halves = [[{"prompt": r["prompt"]} for r in rows[i::2]] for i in range(2)]
    part = {"fit": slice(0, 8), "select": slice(8, 14), "test": slice(14, 20)}
    splits = lw.Splits.from_parts(**{
        name: {"positive": halves[0][cut], "negative": halves[1][cut]} for name, cut in part.items()
    })  # fmt: skip
    plan = Plan(null=2, null_prompts=2, max_new_tokens=4, progress=False)
    said: list[str] = []
    told = tell(embedded.model(), splits, plan, None, said.append)
    assert any("does not read like any" in line for line in said)
    assert "--positive-words" in told.report.data["notes"][0]
    assert told.report.data["title"].startswith("Refusal on")
