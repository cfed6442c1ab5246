"""An edited checkpoint back to what it was made of, bit for bit, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from edit_methods import METHODS, directions, others
from editing import (
    DTYPES,
    FAMILIES,
    direction,
    file_hashes,
    general_factors,
    journalled,
    stored_as,
    tampered,
)
from lenswright import cli

Tiny = Callable[..., Path]


def there_and_back(edit: lw.edits.Edit, source: Path, room: Path) -> lw.edits.Committed:
    before = file_hashes(source)
    done = edit.commit(source, room / "edited", progress=False, journal=True)
    assert done.journal is not None
    name, size = done.journal
    assert (room / "edited" / name).stat().st_size == size
    assert lw.edits.verify(room / "edited", source, progress=False).ok
    back = lw.edits.revert(room / "edited", room / "back", progress=False)
    assert file_hashes(room / "back") == before
    assert back.restored == len(done.changed)
    assert back.steps_left == 0
    shutil.rmtree(room / "edited")
    shutil.rmtree(room / "back")
    return done


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_byte_comes_back(tiny: Tiny, tmp_path: Path, name: str, dtype: str) -> None:
    source = stored_as(tiny(name), tmp_path / "in", dtype, shards=3 if dtype == "float16" else 1)
    model = lw.load(source)
    for edit in (
        lw.edits.ablate(model, direction(model)),
        lw.edits.from_factors(model, general_factors(model)),
        lw.edits.ablate(model, direction(model), writers="mlp", strength=0.5),
    ):
        there_and_back(edit, source, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_back(tiny: Tiny, tmp_path: Path, method: str, dtype: str) -> None:
    source = stored_as(tiny("llama-grouped"), tmp_path / "in", dtype)
    model = lw.load(source)
    there_and_back(METHODS[method].make(model, directions(model), others(model)), source, tmp_path)


def test_what_an_edit_destroys_comes_back(tiny: Tiny, tmp_path: Path) -> None:
    """Outputs and inputs times 0 leave nothing to solve for: all of it is corrections."""
    source = stored_as(tiny("llama"), tmp_path / "in", "bfloat16")
    model = lw.load(source)
    factors = general_factors(model, names="SC")
    for own in factors.values():
        own["S"][::2] = 0
        own["C"][1::3] = 0
    done = there_and_back(lw.edits.from_factors(model, factors), source, tmp_path)
    plain = there_and_back(lw.edits.ablate(model, direction(model)), source, tmp_path)
    assert done.journal is not None
    assert plain.journal is not None
    assert done.journal[1] > plain.journal[1]


def test_numbers_that_are_none_come_back(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float16")
    tensors = load_file(source / "model.safetensors")
    weight = tensors["model.layers.1.mlp.down_proj.weight"]
    weight[0, :4] = torch.tensor([-0.0, 0.0, 6e-8, 65504.0])
    weight[1] = 0
    weight[:, 2] = -0.0
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    there_and_back(lw.edits.ablate(lw.load(source), direction(lw.load(source))), source, tmp_path)


def test_tied_embeddings_are_tied_again(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama-grouped"), tmp_path / "in", "bfloat16", shards=2)
    (source / "chat_template.jinja").write_text("{{ messages }}")
    done = there_and_back(
        lw.edits.ablate(lw.load(source), direction(lw.load(source))), source, tmp_path
    )
    assert done.added == "lm_head.weight"


def test_tensors_by_name_come_back(tmp_path: Path) -> None:
    """Of a family nobody knows."""
    source = tmp_path / "in"
    source.mkdir()
    torch.manual_seed(0)
    tensors = {f"layers.{i}.out": torch.randn(40, 30).bfloat16() for i in range(3)}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text('{"model_type": "nobody knows"}')
    there_and_back(lw.edits.ablate_tensors(source, torch.randn(40), "layers.*"), source, tmp_path)


def test_commits_are_reverted_one_by_one(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "0", "bfloat16")
    for i, writers in enumerate(("attention", "token_embedding", "mlp")):
        model = lw.load(tmp_path / f"{i}")
        edit = lw.edits.ablate(model, direction(model, i), writers=writers)
        edit.commit(tmp_path / f"{i}", tmp_path / f"{i + 1}", progress=False, journal=True)
    assert lw.edits.verify(tmp_path / "3", source, progress=False).steps == 3
    for i in (3, 2, 1):
        folder = tmp_path / ("3" if i == 3 else f"back {i}")
        done = lw.edits.revert(folder, tmp_path / f"back {i - 1}", progress=False)
        assert done.steps_left == i - 1
        assert file_hashes(tmp_path / f"back {i - 1}") == file_hashes(tmp_path / f"{i - 1}")


def test_the_journal_is_small(tmp_path: Path, tiny: Tiny) -> None:
    """0.23 bit a number was the mark set for sixteen-bit weights, by a trial that kept vᵀW too."""
    torch.manual_seed(0)
    sizes = {}
    for dtype in ("bfloat16", "float16", "float32"):
        source = tmp_path / dtype
        source.mkdir()
        weight = (torch.randn(1024, 1024) * 0.02).to(DTYPES[dtype])
        save_file({"out": weight}, source / "model.safetensors")
        (source / "config.json").write_text("{}")
        done = there_and_back(
            lw.edits.ablate_tensors(source, torch.randn(1024), "out", axis="rows"), source, tmp_path
        )
        assert done.journal is not None
        sizes[dtype] = 8 * done.journal[1] / weight.numel()
    assert sizes["bfloat16"] < 0.12
    assert sizes["float16"] < 0.12
    assert sizes["float32"] < 0.15


def test_the_same_journal_for_any_number_of_threads(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "bfloat16")
    model = lw.load(source)
    edit = lw.edits.from_factors(model, general_factors(model))
    threads, seen = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            edit.commit(source, tmp_path / f"{count}", progress=False, journal=True)
            seen.append(file_hashes(tmp_path / f"{count}"))
    finally:
        torch.set_num_threads(threads)
    assert seen[0] == seen[1] == seen[2]


@pytest.fixture
def edited(tiny: Tiny, tmp_path: Path) -> Path:
    return journalled(tiny, tmp_path)


def test_a_damaged_journal_writes_nothing(edited: Path, tmp_path: Path) -> None:
    journal = edited / "lenswright-1.journal"
    whole = journal.read_bytes()
    generator = torch.Generator().manual_seed(3)
    refused = 0
    for i in range(40):
        wrong = bytearray(whole)
        place = int(torch.randint(len(whole), (1,), generator=generator))
        wrong[place] ^= 1 << i % 8
        journal.write_bytes(wrong if i % 4 else whole[:place])
        try:
            lw.edits.revert(edited, tmp_path / "back", progress=False)
        except ValueError:  # CheckpointError is one
            refused += 1
            assert not (tmp_path / "back").exists()
        else:  # a bit that nobody reads
            assert file_hashes(tmp_path / "back") == file_hashes(tmp_path / "in")
            shutil.rmtree(tmp_path / "back")
    assert refused > 30


def test_folders_without_a_way_back(tiny: Tiny, tmp_path: Path, edited: Path) -> None:
    with pytest.raises(ValueError, match=r"has no lenswright\.json"):
        lw.edits.revert(tmp_path / "in", tmp_path / "back")
    with pytest.raises(ValueError, match=r"has no lenswright\.json"):
        lw.edits.verify(tmp_path / "in")
    edit = lw.edits.ablate(lw.load(edited), direction(lw.load(edited), 1))
    edit.commit(edited, tmp_path / "again", progress=False)
    with pytest.raises(ValueError, match=r"without a journal, expected commit\(..., journal=True"):
        lw.edits.revert(tmp_path / "again", tmp_path / "back")
    with pytest.raises(FileExistsError):
        lw.edits.revert(edited, tmp_path / "in")
    (edited / "lenswright-1.journal").unlink()
    with pytest.raises(lw.CheckpointError, match=r"lenswright-1\.journal"):
        lw.edits.revert(edited, tmp_path / "back")


def test_commands(edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*argv: str) -> tuple[int, Any]:
        code = cli.main(list(argv))
        return code, capsys.readouterr()

    code, told = said("verify", str(edited), "--edit", "--base", str(tmp_path / "in"))
    assert code == 0
    assert "all is as recorded" in told.out
    code, told = said("revert", str(edited), "--out", str(tmp_path / "back"))
    assert code == 0
    assert "every hash is that of before the commit" in told.out
    assert file_hashes(tmp_path / "back") == file_hashes(tmp_path / "in")
    shutil.copytree(edited, tmp_path / "copy")
    assert said("revert", str(tmp_path / "copy"))[0] == 2
    assert said("revert", str(tmp_path / "copy"), "--in-place", "--out", "x")[0] == 2
    assert said("revert", str(tmp_path / "copy"), "--in-place")[0] == 0
    assert file_hashes(tmp_path / "copy") == file_hashes(tmp_path / "in")
    name = "model.layers.2.self_attn.o_proj.weight"
    tampered(edited, name)
    code, told = said("verify", str(edited), "--edit", "--json")
    assert code == 1
    assert list(json.loads(told.out)["wrong"]) == [name]
    code, told = said("revert", str(edited), "--out", str(tmp_path / "again"))
    assert code == 2
    assert name in told.err
    assert told.err.count("\n") == 1
    assert said("verify", str(edited), "--base", str(tmp_path / "in"))[0] == 2
